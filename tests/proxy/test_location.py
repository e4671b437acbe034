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
        (b"/a?\\..\\", Location(b"/a?\\..\\", "/a", b"/a", b"\\..\\")),
        (b"/.a/b../%2F...", Location(b"/.a/b../%2F...", "/.a/b..//...", b"/.a/b../%2F...", b"")),
        (b"/a\\b;v=..", Location(b"/a\\b;v=..", "/a\\b;v=..", b"/a\\b;v=..", b"")),
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


@pytest.mark.parametrize("slash", [b"/", b"%2f", b"%2F", b"\\", b"%5c", b"%5C"])
@pytest.mark.parametrize("dots", [b".", b"..", b"%2e.", b".%2E", b"%2e%2e"])
@pytest.mark.parametrize("behind", [b"", b"/admin", b"%2Fadmin", b"\\admin", b"%5cadmin", b";/admin", b"%3B/admin"])
def test_no_way_out_of_a_models_paths_however_its_slashes_are_written(slash: bytes, dots: bytes, behind: bytes) -> None:
    """Some servers take an escaped slash or a backslash for a slash, and some end a segment at a semicolon."""
    with pytest.raises(RequestRefused):
        locate(b"/m" + slash + dots + behind)


def test_a_backslash_is_no_way_to_another_host() -> None:
    """`/\\h/x` is `//h/x` to a parser of the URL standard, as those of browsers and Node are."""
    with pytest.raises(RequestRefused):
        locate(b"/\\h/x")
