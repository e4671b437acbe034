from __future__ import annotations

import pytest

from proxy.errors import RequestRefused
from proxy.location import Location, locate


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/", Location(b"/", "/", b"/", b"")),
        (b"/a/b?x=1?y", Location(b"/a/b?x=1?y", "/a/b", b"/a/b", b"x=1?y")),
        (b"/caf%C3%A9%2Fx", Location(b"/caf%C3%A9%2Fx", "/café/x", b"/caf%C3%A9%2Fx", b"")),
        (b"/a?..%2F..", Location(b"/a?..%2F..", "/a", b"/a", b"..%2F..")),
    ],
)
def test_a_target_keeps_its_bytes_and_is_taken_apart(target: bytes, expected: Location) -> None:
    assert locate(target) == expected


@pytest.mark.parametrize(
    "target",
    [
        b"",
        b"x",
        b"*",
        b"//h/x",
        b"http://h/",
        b"/a b",
        b"/a\x00",
        b"/%00",
        b"/%zz",
        b"/\xff",
        b"/a/../b",
        b"/%2e%2E/b",
        b"/a/.",
    ],
)
def test_a_target_that_parsers_read_in_two_ways_is_refused(target: bytes) -> None:
    with pytest.raises(RequestRefused):
        locate(target)
