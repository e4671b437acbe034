"""Content encodings (RFC 9110 section 8.4.1), undone for the comparison alone: what a client gets is never touched.

No decoder writes more than `limit` bytes, so that a small body cannot fill the memory. The decoders that are not of
the standard library are loaded when a body first needs them."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable

from proxy.formats.reading import Unfit, Unreadable

_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_MOST_ENCODINGS = 2
_MOST_MEMBERS = 64  # each costs a copy of what follows it


def decoded(body: bytes, encoding: str, limit: int) -> bytes:
    """The body without its encodings; `encoding` is the field's value, in lower case.

    Raises Unfit over `limit` bytes and for an encoding that is not known, Unreadable for a damaged body."""
    codings = [coding.strip() for coding in encoding.split(",") if coding.strip() not in ("", "identity")]
    if len(codings) > _MOST_ENCODINGS or not all(coding in _DECODERS for coding in codings):
        raise Unfit("encoding_unsupported")
    for coding in reversed(codings):
        body = _DECODERS[coding](body, limit)
        if len(body) > limit:
            raise Unfit("body_too_large")
    return body


def _inflate(body: bytes, limit: int, bits: int = _GZIP_OR_ZLIB) -> bytes:
    """Every member of a gzip file (RFC 1952 section 2.2), or one zlib stream."""
    parts: list[bytes] = []
    size = 0
    for _ in range(_MOST_MEMBERS):
        inflater = zlib.decompressobj(bits)
        try:
            part = inflater.decompress(body, limit + 1 - size)
        except zlib.error:
            raise Unreadable("damaged_encoding") from None
        parts.append(part)
        size += len(part)
        if size <= limit and not inflater.eof:
            raise Unreadable("damaged_encoding")
        body = inflater.unused_data
        if size > limit or not body:
            return b"".join(parts)
    raise Unfit("encoding_unsupported")


def _deflate(body: bytes, limit: int) -> bytes:
    """A zlib stream, or the bare one that some servers call deflate (RFC 9110 section 8.4.1.2)."""
    bare = body[:1] and (body[0] & 0x0F != 8 or int.from_bytes(body[:2], "big") % 31)
    return _inflate(body, limit, -zlib.MAX_WBITS if bare else zlib.MAX_WBITS)


def _brotli(body: bytes, limit: int) -> bytes:
    import brotli

    decoder = brotli.Decompressor()
    try:
        made: bytes = decoder.process(body, output_buffer_limit=limit + 1)
        while len(made) <= limit and not decoder.is_finished():
            more = decoder.process(b"", output_buffer_limit=limit + 1 - len(made))
            if not more:
                break
            made += more
    except brotli.error:
        raise Unreadable("damaged_encoding") from None
    if len(made) <= limit and not decoder.is_finished():
        raise Unreadable("damaged_encoding")
    return made


def _zstd(body: bytes, limit: int) -> bytes:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    made = b""
    for _ in range(_MOST_MEMBERS):
        # RFC 9659: no window above 8 MiB on the Web
        decoder = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: 23})
        try:
            made += decoder.decompress(body, limit + 1 - len(made))
        except zstd.ZstdError:
            raise Unreadable("damaged_encoding") from None
        if len(made) <= limit and not decoder.eof:
            raise Unreadable("damaged_encoding")
        body = decoder.unused_data
        if len(made) > limit or not body:
            return made
    raise Unfit("encoding_unsupported")


_DECODERS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _inflate,
    "x-gzip": _inflate,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
