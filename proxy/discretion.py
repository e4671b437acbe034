"""What is never repeated: secrets that stand in a text which is about to be logged, recorded, told or answered.

`proxy.redaction` takes marked fields out of requests; this takes what looks like a secret out of our own words.
"""

from __future__ import annotations

import re

HIDDEN = "[hidden]"

_NAMES = "password|passwd|secret|token|api[_-]?key"
_SECRETS = (
    (re.compile(r"pst_[\w-]{8,}"), HIDDEN),  # a token of ours
    (re.compile(r"\beyJ[\w-]{4,}\.[\w-]+\.[\w-]*"), HIDDEN),  # a JSON Web Token
    (re.compile(r"(?i)\b(bearer|basic)\s+(?=\S*[\d=])[\w.~+/=-]{8,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"(://[^\s/:@]*):[^\s/@]+@"), rf"\1:{HIDDEN}@"),  # a password in a URL
    (
        re.compile(r"(?i)\b([\w-]*(?:password|passwd|secret|token|api[_-]?key))(\s*[=:]\s*)([^\s,;&'\"\[]{4,})"),
        rf"\1\2{HIDDEN}",
    ),
)


def discreet(text: str) -> str:
    """The text without what looks like a secret."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text
