"""What the head of an answer says of its end, and of its connection."""

from __future__ import annotations

import re

from proxy.errors import UpstreamMalformed
from proxy.headers import Fields

LONGEST_IDLE = 30.0
FRAMING = (b"content-length", b"transfer-encoding")
_TIMEOUT = re.compile(rb"\btimeout=(\d{1,9})", re.IGNORECASE).search


def size(fields: Fields) -> int:
    return sum(len(name) + len(value) + 4 for name, value in fields)


def ends_with_close(status: int, fields: Fields) -> bool:
    """Whether the body has no length of its own and lasts until the connection closes (RFC 9112 section 6.3).

    Raises UpstreamMalformed for a transfer coding other than `chunked`: its name ends at this hop, so that the client
    would get what it cannot read."""
    if status in (204, 304):
        return False
    chunked = False
    for name, value in fields:
        if name == b"content-length":
            return False
        if name == b"transfer-encoding":
            if chunked or value.lower() != b"chunked":
                raise UpstreamMalformed("a transfer coding other than chunked")
            chunked = True
    return not chunked


def idle_seconds(fields: Fields, usual: float) -> float:
    """How long a connection may idle: half the time that its server says it keeps it, as a request that is on its way
    may cross the close."""
    for name, value in fields:
        if name == b"keep-alive" and (told := _TIMEOUT(value)):
            return min(int(told[1]) / 2, LONGEST_IDLE)
    return usual


def stays_open(version: str, fields: Fields) -> bool:
    """Whether the connection goes on behind an answer that has no body, as to HEAD (RFC 9112 section 9.3). The parser
    can not tell: it takes a body without a length to last until the close."""
    options = {
        option.strip().lower() for name, value in fields if name == b"connection" for option in value.split(b",")
    }
    return b"close" not in options and (version == "1.1" or b"keep-alive" in options)
