"""Version 2 of the inference protocol (KServe V2, Open Inference), in JSON and in its binary extension.

https://github.com/kserve/open-inference-protocol and Triton's "Binary Tensor Data Extension"."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Literal

import msgspec

from proxy.formats.reading import Predictions, Unreadable, parse
from proxy.formats.rows import transposed

Datatype = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "BF16", "FP32", "FP64",
    "BYTES",
]  # fmt: skip
# Little-endian, whatever the machine; FP16 and BF16 exist in the binary form alone.
_CODES = {
    "BOOL": "?",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}
RESOLUTIONS = {"BF16": 2.0**-7, "FP16": 2.0**-10, "FP32": 2.0**-23}
"""Machine epsilon: the relative step from 1.0 to the next number of the type."""

_MEASURED = frozenset(("FP16", "BF16", "FP32", "FP64"))


class _Parameters(msgspec.Struct):
    binary_data_size: int | None = None


class _Output(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: Datatype
    data: Any = None
    parameters: _Parameters | None = None


def is_tensors(outputs: object) -> bool:
    """Whether `outputs` is the protocol's list, and not TensorFlow Serving's column."""
    return isinstance(outputs, list) and bool(outputs) and isinstance(outputs[0], dict) and "datatype" in outputs[0]


def in_tensors(outputs: object, tail: bytes = b"") -> Predictions:
    """The outputs by their names, whatever their order; `tail` is what follows the JSON part in the binary form.

    Raises Unreadable."""
    try:
        declared = msgspec.convert(outputs, list[_Output])
    except (ValueError, RecursionError):
        raise Unreadable("malformed_tensors") from None
    columns: dict[str, object] = {}
    resolution = 0.0
    for output in declared:
        size = output.parameters.binary_data_size if output.parameters else None
        if size is None:
            values = _flat(output.data)
            if output.datatype in _MEASURED:
                values = _measured(values)
        elif 0 <= size <= len(tail):
            values, tail = list(_unpacked(output.datatype, tail[:size])), tail[size:]
        else:
            raise Unreadable("malformed_tensors")
        columns[output.name] = _reshaped(values, output.shape)
        resolution = max(resolution, RESOLUTIONS.get(output.datatype, 0.0))
    if not columns:
        raise Unreadable("malformed_tensors")
    return Predictions(transposed(dict(sorted(columns.items()))), batch=True, resolution=resolution)


def in_binary(body: bytes, json_length: bytes) -> Predictions:
    """An answer whose first `Inference-Header-Content-Length` bytes are JSON. Raises Unreadable."""
    if not (json_length.isdigit() and len(json_length) < 12):
        raise Unreadable("malformed_tensors")
    length = int(json_length)
    document = parse(body[:length])
    if length > len(body) or not isinstance(document, dict):
        raise Unreadable("malformed_tensors")
    return in_tensors(document.get("outputs"), body[length:])


def floats(raw: bytes) -> list[object]:
    """float32, little-endian. Raises Unreadable."""
    return list(_unpacked("FP32", raw))


def _flat(data: object) -> list[object]:
    """Data may be flat, or nested as the shape has it. Depth by depth, so that no nesting is too deep."""
    if not isinstance(data, list):
        raise Unreadable("malformed_tensors")
    while data and isinstance(data[0], list):
        if not all(isinstance(part, list) for part in data):
            raise Unreadable("malformed_tensors")
        data = list(chain.from_iterable(data))
    return data


def _measured(values: list[object]) -> list[object]:
    """The values of a float type, of which whole ones may come as `1000`: they are no labels for that. What is no
    number, as null, stays."""
    try:
        measured: list[object] = msgspec.convert(values, list[float])
    except ValueError:
        return [float(value) if type(value) is int and abs(value) < _BEYOND_FLOATS else value for value in values]
    return measured


def _unpacked(datatype: str, raw: bytes) -> Sequence[object]:
    if datatype == "BYTES":
        return list(_strings(raw))
    if datatype == "BF16":  # the upper half of a float32
        halves = _unpacked("UINT16", raw)
        return _unpacked("FP32", struct.pack(f"<{len(halves)}I", *(half << 16 for half in halves)))  # type: ignore[operator]
    code = _CODES[datatype]
    count, rest = divmod(len(raw), struct.calcsize(f"<{code}"))
    if rest:
        raise Unreadable("malformed_tensors")
    return struct.unpack(f"<{count}{code}", raw)


def _strings(raw: bytes) -> Iterator[str]:
    """Each with its length in four bytes before it."""
    at = 0
    while at < len(raw):
        (length,) = struct.unpack_from("<I", raw, at) if at + 4 <= len(raw) else (len(raw),)
        at += 4 + length
        if at > len(raw):
            raise Unreadable("malformed_tensors")
        yield raw[at - length : at].decode(errors="backslashreplace")


def _reshaped(values: list[object], shape: list[int]) -> list[object] | object:
    if min(shape, default=0) < 0 or len(shape) > 32 or math.prod(shape) != len(values):
        raise Unreadable("malformed_tensors")
    if not shape:
        return values[0]
    if not values:
        return [[] for _ in range(shape[0])] if 0 < shape[0] <= _MOST_EMPTY_ROWS else []
    for size in reversed(shape[1:]):
        values = [values[at : at + size] for at in range(0, len(values), size)]
    return values


_MOST_EMPTY_ROWS = 1024
_BEYOND_FLOATS = 2**1023
