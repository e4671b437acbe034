from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.formats import Answer, Predictions, Unreadable, predictions
from proxy.snapshot import AgreementSpec

AUTO = AgreementSpec()


def output(
    name: str, datatype: str, shape: list[int], data: object = None, size: int | None = None
) -> dict[str, object]:
    made: dict[str, object] = {"name": name, "datatype": datatype, "shape": shape}
    if data is not None:
        made["data"] = data
    if size is not None:
        made["parameters"] = {"binary_data_size": size}
    return made


def from_json(*outputs: object) -> Predictions:
    body = json.dumps({"model_name": "m", "id": "7", "outputs": outputs}).encode()
    return predictions(Answer(200, [(b"content-type", b"application/json")], body), AUTO, b"/v2/models/m/infer")


def from_binary(tail: bytes, *outputs: object, cut: int = 0) -> Predictions:
    head = json.dumps({"model_name": "m", "outputs": outputs}).encode()
    length = b"%d" % (len(head) + cut)
    fields = [(b"content-type", b"application/octet-stream"), (b"inference-header-content-length", length)]
    return predictions(Answer(200, fields, head + tail), AUTO)


@pytest.mark.parametrize(
    ("outputs", "rows"),
    [
        ([output("y", "INT64", [3], [1, 2, 3])], [1, 2, 3]),
        ([output("y", "INT64", [3, 1], [1, 2, 3])], [1, 2, 3]),
        ([output("y", "FP32", [2, 2], [1.0, 2.0, 3.0, 4.0])], [[1.0, 2.0], [3.0, 4.0]]),
        ([output("y", "FP32", [2, 2], [[1.0, 2.0], [3.0, 4.0]])], [[1.0, 2.0], [3.0, 4.0]]),
        ([output("y", "FP64", [1, 2, 2], [1, 2, 3, 4])], [[[1, 2], [3, 4]]]),
        ([output("y", "BYTES", [2], ["cat", "dog"])], ["cat", "dog"]),
        ([output("y", "BOOL", [], [True])], [True]),
        ([output("y", "FP32", [0], [])], []),
        (
            [output("label", "BYTES", [2], ["a", "b"]), output("p", "FP32", [2, 1], [0.1, 0.9])],
            [{"label": "a", "p": 0.1}, {"label": "b", "p": 0.9}],
        ),
        (
            [output("p", "FP32", [2, 1], [0.1, 0.9]), output("label", "BYTES", [2], ["a", "b"])],
            [{"label": "a", "p": 0.1}, {"label": "b", "p": 0.9}],
        ),
        ([output("a", "INT8", [1], [1]), output("b", "INT8", [2], [2, 3])], [{"a": [1], "b": [2, 3]}]),
    ],
    ids=str,
)
def test_json_is_reshaped_and_matched_by_name(outputs: list[object], rows: list[object]) -> None:
    assert list(from_json(*outputs).rows) == rows


@pytest.mark.parametrize("datatype", ["FP16", "BF16", "FP32", "FP64"])
def test_whole_numbers_of_a_float_type_are_measured_all_the_same(datatype: str) -> None:
    for data in ([1000, 2.5], [1000, None], [1000, 10**400], [1000, "NaN"], [1000, True]):
        found = from_json(output("y", datatype, [2], data)).rows
        assert list(found) == [1000.0, data[1]]
        assert isinstance(found[0], float)


def test_whole_numbers_of_another_type_stay_such() -> None:
    assert all(isinstance(row, int) for row in from_json(output("y", "INT64", [2], [1000, 2])).rows)


NUMPY = {
    "BOOL": "?", "UINT8": "<u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "<i1", "INT16": "<i2",
    "INT32": "<i4", "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip


@pytest.mark.parametrize("datatype", NUMPY)
@given(values=st.lists(st.integers(0, 1), min_size=6, max_size=6))
def test_binary_numbers_are_as_numpy_has_them(datatype: str, values: list[int]) -> None:
    made = np.array(values).astype(NUMPY[datatype]) * np.array(3).astype(NUMPY[datatype])
    raw = made.tobytes()
    found = from_binary(raw, output("y", datatype, [2, 3], size=len(raw)))
    assert list(found.rows) == made.reshape(2, 3).tolist()


def test_several_binary_outputs_follow_each_other_and_json_ones_stay_where_they_are() -> None:
    strings = struct.pack("<I3sI4s", 3, b"cat", 4, "né!".encode())
    numbers = np.array([0.1, 0.9], "<f4").tobytes()
    found = from_binary(
        strings + numbers,
        output("label", "BYTES", [2], size=len(strings)),
        output("n", "INT64", [2], data=[7, 8]),
        output("p", "FP32", [2], size=len(numbers)),
    )
    first, second = found.rows
    assert first == {"label": "cat", "n": 7, "p": pytest.approx(0.1)}
    assert second == {"label": "né!", "n": 8, "p": pytest.approx(0.9)}
    assert found.resolution == 2.0**-23


def test_bfloat16_is_the_upper_half_of_a_float32() -> None:
    raw = struct.pack("<f", 1.5)[2:] + struct.pack("<f", -2.0)[2:]
    found = from_binary(raw, output("y", "BF16", [2], size=4))
    assert (list(found.rows), found.resolution) == ([1.5, -2.0], 2.0**-7)


@pytest.mark.parametrize(
    "outputs",
    [
        [output("y", "FP32", [3], [1.0])],
        [output("y", "FP32", [-1], [1.0])],
        [output("y", "COMPLEX", [1], [1.0])],
        [output("y", "FP32", [2], [[1.0], 2.0])],
        [{"name": "y", "datatype": "FP32"}],
        [output("y", "FP32", [1], size=4)],
        [output("y", "FP32", [], [])],
    ],
    ids=str,
)
def test_tensors_that_contradict_themselves_are_unreadable(outputs: list[object]) -> None:
    with pytest.raises(Unreadable, match=r"^malformed_tensors$"):
        from_json(*outputs)


@pytest.mark.parametrize(
    ("tail", "datatype", "size", "cut"),
    [
        (b"1234", "FP32", 5, 0),
        (b"12345", "FP32", 5, 0),
        (b"1234", "FP32", -1, 0),
        (b"\x09\x00\x00\x00x", "BYTES", 5, 0),
        (b"\x01\x00", "BYTES", 2, 0),
        (b"", "FP32", 0, 99),
    ],
)
def test_binary_tensors_that_contradict_themselves_are_unreadable(
    tail: bytes, datatype: str, size: int, cut: int
) -> None:
    with pytest.raises(Unreadable, match=r"^malformed_tensors$"):
        from_binary(tail, output("y", datatype, [1], size=size), cut=cut)


@given(st.binary(max_size=64), st.sampled_from([*NUMPY, "BYTES", "BF16"]), st.lists(st.integers(0, 9), max_size=3))
def test_any_bytes_of_any_type_are_rows_or_unreadable(raw: bytes, datatype: str, shape: list[int]) -> None:
    try:
        found = from_binary(raw, output("y", datatype, shape, size=len(raw)))
    except Unreadable:
        return
    assert not shape or len(found.rows) in (shape[0], 0)
