from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Callable

import brotli
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from proxy.formats.encodings import decoded
from proxy.formats.reading import Unfit, Unreadable


def _bare(body: bytes) -> bytes:
    squeezer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return squeezer.compress(body) + squeezer.flush()


ENCODERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "two gzip members": ("x-gzip", lambda body: gzip.compress(body[:9]) + gzip.compress(body[9:])),
    "deflate": ("deflate", zlib.compress),
    "bare deflate": ("deflate", _bare),
    "br": ("br", brotli.compress),
    "zstd": ("zstd", zstd.compress),
    "two zstd frames": ("zstd", lambda body: zstd.compress(body[:9]) + zstd.compress(body[9:])),
    "gzip in br": ("gzip, br", lambda body: brotli.compress(gzip.compress(body))),
    "identity": ("identity", bytes),
}


@pytest.mark.parametrize("name", ENCODERS)
@given(body=st.binary(max_size=2000))
def test_what_was_encoded_comes_back(name: str, body: bytes) -> None:
    encoding, encode = ENCODERS[name]
    assert decoded(encode(body), encoding, 2000) == body


@pytest.mark.parametrize("name", [name for name in ENCODERS if name != "identity"])
def test_a_bomb_goes_off_at_the_limit(name: str) -> None:
    encoding, encode = ENCODERS[name]
    bomb = encode(bytes(50_000_000))
    assert len(bomb) < 60_000
    assert decoded(encode(bytes(100_000)), encoding, 100_000) == bytes(100_000)
    with pytest.raises(Unfit, match=r"^body_too_large$"):
        decoded(bomb, encoding, 100_000)


@pytest.mark.parametrize("name", [name for name in ENCODERS if name != "identity"])
def test_a_cut_or_damaged_body_is_unreadable(name: str) -> None:
    encoding, encode = ENCODERS[name]
    whole = encode(b"some text, and some more of it" * 9)
    for damaged in (whole[:-1], whole[: len(whole) // 2], b"", b"\x00" + whole):
        with pytest.raises(Unreadable, match=r"^(damaged_encoding|encoding_unsupported)$"):
            decoded(damaged, encoding, 10_000)


@pytest.mark.parametrize("encoding", ["compress", "aes128gcm", "gzip, compress", "gzip, gzip, gzip", "?"])
def test_an_encoding_that_is_not_known_is_not_for_us_to_read(encoding: str) -> None:
    with pytest.raises(Unfit, match=r"^encoding_unsupported$"):
        decoded(gzip.compress(b""), encoding, 99)


@pytest.mark.parametrize("encode", [gzip.compress, zstd.compress])
def test_members_without_end_are_not_gone_through(encode: Callable[[bytes], bytes]) -> None:
    with pytest.raises(Unfit, match=r"^encoding_unsupported$"):
        decoded(encode(b"") * 40_000, "gzip" if encode is gzip.compress else "zstd", 99)


@given(st.binary(), st.sampled_from(["gzip", "deflate", "br", "zstd", "br, gzip"]), st.integers(0, 99))
def test_any_bytes_are_decoded_or_unreadable(body: bytes, encoding: str, limit: int) -> None:
    with contextlib.suppress(Unreadable):
        assert len(decoded(body, encoding, limit)) <= limit
