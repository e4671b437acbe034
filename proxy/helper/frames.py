"""What goes between a worker and its helper: a pair as a short head, with its bodies behind it as they are; and what
was found, as one message. Each has its length before it."""

from __future__ import annotations

import struct
from typing import BinaryIO

import msgspec

from proxy.anonymity import Veil
from proxy.comparison import Answer
from proxy.headers import Fields
from proxy.pairs import Found, Pair
from proxy.snapshot import AgreementSpec

_LENGTH = struct.Struct("<I")


class _Head(msgspec.Struct, frozen=True, array_like=True):
    counted: bool
    statuses: tuple[int, int]
    fields: tuple[Fields, Fields]
    spec: AgreementSpec
    path: bytes
    sizes: tuple[int, int]
    veil: Veil | None


_ENCODER = msgspec.msgpack.Encoder()
_HEADS = msgspec.msgpack.Decoder(_Head)
_FOUND = msgspec.msgpack.Decoder(Found)


def framed(pair: Pair, counted: bool) -> list[bytes]:
    """The parts of a pair's frame, of which none is a copy of a body. Both bodies must be there."""
    champion, other = pair.champion, pair.other
    bodies = (champion.body or b"", other.body or b"")
    statuses, fields = (champion.status, other.status), (champion.fields, other.fields)
    sizes = (len(bodies[0]), len(bodies[1]))
    head = _ENCODER.encode(_Head(counted, statuses, fields, pair.spec, pair.path, sizes, pair.veil))
    return [_LENGTH.pack(len(head)) + head, *bodies]


def read_pair(stream: BinaryIO) -> tuple[Pair, bool] | None:
    """The next pair, and whether it is counted; None where the stream ends before it does."""
    try:
        (length,) = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
        head = _HEADS.decode(_exactly(stream, length))
        champion, other = (_exactly(stream, size) for size in head.sizes)
    except EOFError:
        return None
    left = Answer(head.statuses[0], head.fields[0], champion)
    right = Answer(head.statuses[1], head.fields[1], other)
    return Pair(left, right, head.spec, head.path, head.veil), head.counted


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def found_framed(found: Found) -> bytes:
    message = _ENCODER.encode(found)
    return _LENGTH.pack(len(message)) + message


class FoundReader:
    """Puts together what came in pieces."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[Found]:
        """What is whole by now. Raises msgspec.DecodeError for what no helper of ours has sent."""
        self._held += data
        found = []
        while len(self._held) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._held)[0]
            if len(self._held) < end:
                break
            found.append(_FOUND.decode(bytes(self._held[_LENGTH.size : end])))
            del self._held[:end]
        return found
