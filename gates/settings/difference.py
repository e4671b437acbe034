"""Two configurations side by side: what differs, key by key, in the words of their files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from gates.configured import Change
from gates.settings.problems import Key, key_text

UNSHOWN = "(not shown)"
FIXED = ("listen", "control", "store", "mlflow", "tls", "trusted_peers", "model_versions")
"""What a running process cannot change: a new value counts when it starts anew."""
_SECRET = ("store", "mlflow", "prometheus", "alerts")
_CALLED = re.compile(r"\bwebhook\b|(token|secret|password|credential|hash)s?(\[\d+\])*$", re.IGNORECASE)
"""Keys of values that are secrets, or may hold one in any place."""
_ADDRESS = re.compile(r"(https?://[\w.:\[\]-]+)(/[^@]*)?")


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Change, ...]:
    """What differs between two configurations as they are written, in order of their keys."""
    keys = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    return tuple(Change(key, _shown(key, before.get(key)), _shown(key, after.get(key))) for key in keys)


def waiting(started: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """The keys that wait for the process to start anew: `started` is what was written when it did."""
    return tuple(change.key for change in changes(started, now) if _root(change.key) in FIXED)


def flat(value: object, key: Key = ()) -> Iterator[tuple[str, str]]:
    """Every single value of a document, by its key."""
    if isinstance(value, dict) and value:
        for name, below in value.items():
            yield from flat(below, (*key, name))
    elif isinstance(value, list) and value:
        for index, below in enumerate(value):
            yield from flat(below, (*key, index))
    else:
        yield key_text(key), str(value).lower() if isinstance(value, bool) else str(value)


def _root(key: str) -> str:
    return key.partition(".")[0].partition("[")[0]


def _shown(key: str, value: str | None) -> str | None:
    """As much of it as anybody may read: what is compared goes on record, into the log and to whoever asks."""
    if value is None:
        return None
    if _root(key) in _SECRET or _CALLED.search(key):
        return UNSHOWN
    return _host_of(value) if "://" in value else value


def _host_of(url: str) -> str:
    """A path may be a secret, as a webhook's is; and where no host can be told for sure, anything may."""
    found = _ADDRESS.fullmatch(url)
    if found is None:
        return UNSHOWN
    host, path = found.groups()
    return f"{host}/{UNSHOWN}" if path and path != "/" else url
