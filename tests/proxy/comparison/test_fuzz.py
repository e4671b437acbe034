"""Arbitrary answers through formats, comparison, outputs and the record. `make answer-fuzz` looks longer."""

from __future__ import annotations

import gc
import gzip
import json
import math
import os
import zlib
from io import BytesIO
from time import thread_time

import brotli
import msgspec
import pytest
from backports import zstd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.anonymity import veil
from proxy.comparison import Answer, compare
from proxy.disagreements import (
    Disagreement,
    Ranked,
    Request,
    finding_of,
    recorded,
    require_lawful,
    severity_of,
)
from proxy.helper.frames import FoundReader, found_framed, framed, read_pair
from proxy.pairs import Pair, look_at
from proxy.snapshot import AgreementSpec, ModelRoute, Origin, RecordPolicy, Target
from tests.strategies import json_values, specs

CPU_SECONDS, A_BYTE = 0.3, 10e-6
"""Of this thread, whoever else is at work, for any pair and for each of its bytes: thousands of times what a short pair
takes, and fifty times what the dearest byte does."""
LONG = 10_000
"""Bytes of a long document."""
ROUTE = ModelRoute("m", "/", Target("1", (Origin("h", 1),)), record=RecordPolicy(fields=("**.a", "predictions.0")))
CASES = int(os.environ.get("PENSTOCK_FUZZ_CASES", "500"))

pytestmark = pytest.mark.timeout(600 + CASES)  # a busy machine takes minutes for it

WORDS = st.sampled_from(
    ["predictions", "outputs", "choices", "data", "messages", "output", "error", "embedding", "index", "datatype",
     "name", "shape", "message", "content", "tool_calls", "function", "arguments", "delta", "finish_reason", "b64",
     "parameters", "binary_data_size", "role", "id", "a", "b"]
)  # fmt: skip
DEAR = ["\ufdfa" * 300, "\u0300" * 300 + "\u0316" * 300, "a " * 300]
"""Texts that Unicode's normal forms blow up, or bring into order step by step."""
VALUES = json_values | st.sampled_from(
    ["FP32", "FP16", "BYTES", "INT64", "tool", "a", "b", "\ud800", 0, 1, 2, 4, 0.5, *DEAR]
)
DOCUMENTS = st.recursive(
    VALUES | st.lists(st.floats(), max_size=6) | st.lists(st.lists(st.floats(0, 1), max_size=3), max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=12,
)
TENSORS = st.fixed_dictionaries(
    {
        "outputs": st.lists(
            st.fixed_dictionaries(
                {
                    "name": WORDS,
                    "shape": st.lists(st.integers(-1, 4), max_size=3),
                    "datatype": st.sampled_from(["FP32", "FP16", "BF16", "BYTES", "INT64", "BOOL", "?"]),
                },
                optional={
                    "data": st.lists(VALUES, max_size=4),
                    "parameters": st.fixed_dictionaries({"binary_data_size": st.integers(-1, 16)}),
                },
            ),
            max_size=2,
        )
    }
)
FIELDS = st.lists(
    st.sampled_from(
        [
            (b"content-type", b"application/json"),
            (b"content-type", b"text/event-stream"),
            (b"content-type", b"text/plain"),
            (b"content-encoding", b"gzip"),
            (b"content-encoding", b"deflate, br"),
            (b"content-encoding", b"zstd"),
        ]
    ),
    max_size=2,
)


ENCODERS = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress, "zstd": zstd.compress}


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Bytes of every kind, and mostly such as a model server could send."""
    fields = list(draw(FIELDS))
    document = draw(DOCUMENTS | TENSORS | TENSORS.map(lambda one: {**one, "predictions": [1.0]}))
    text = json.dumps(document).encode()
    shape = draw(st.sampled_from(["json", "json", "long", "events", "binary", "bytes", *ENCODERS]))
    if shape == "events":
        fields.insert(0, (b"content-type", b"text/event-stream"))
        text = b"data: %b\n\ndata: %b\n\n" % (text, draw(st.sampled_from([b"[DONE]", b"{", b"1", text])))
    elif shape == "binary":
        fields.insert(0, (b"inference-header-content-length", b"%d" % len(text)))
        text += draw(st.binary(max_size=24))
    elif shape == "long":
        rows = [document, draw(DOCUMENTS)] * (LONG // (len(text) + 20) + 1)
        fields, text = [], json.dumps(draw(st.sampled_from([{"predictions": rows}, {"predictions": [rows]}]))).encode()
    elif encode := ENCODERS.get(shape):
        fields, text = [(b"content-encoding", shape.encode())], encode(text)
    elif shape == "bytes":
        text = draw(st.binary(max_size=80))
    return Answer(draw(st.sampled_from([200, 200, 200, 204, 400, 500])), fields, text)


@given(answers(), answers(), specs | st.just(AgreementSpec()), st.sampled_from([b"", b"/v1/models/m:predict"]))
@settings(max_examples=CASES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_no_exception_escapes_and_every_comparison_is_lawful(
    champion: Answer, candidate: Answer, spec: AgreementSpec, path: bytes
) -> None:
    gc.disable()  # what Hypothesis keeps takes a second to look through, in the middle of whatever runs
    start = thread_time()
    found = compare(champion, candidate, spec, path)
    spent = thread_time() - start
    gc.enable()
    size = len(champion.body or b"") + len(candidate.body or b"")
    assert spent < CPU_SECONDS + A_BYTE * size, f"a comparison of {size} bytes has run away"
    assert not (found.finding and found.skipped)
    assert not found.finding or found.rows_disagreed
    assert 0 <= found.rows_disagreed <= found.rows
    assert 0 <= found.largest_gap < math.inf
    assert not compare(champion, champion, spec, path).finding
    whole = Pair(champion, candidate, spec, path, veil(b"a: b\r\n", candidate.body or b"", ("a.b",)))
    assert read_pair(BytesIO(b"".join(framed(whole, True)))) == (whole, True)
    looked = look_at(whole, True, thread_time)
    assert FoundReader().feed(found_framed(looked)) == [looked], "the helper can tell whatever it found"
    pair = Ranked("w-1", finding_of(found, champion, candidate) or "none", severity_of(found), 1)
    assert 0 <= pair.severity <= 2
    made = recorded(pair, found, ROUTE, "champion", Request("POST", path, b"a: b\r\n", champion.body or b""),
                    champion, candidate)  # fmt: skip
    require_lawful(msgspec.json.decode(msgspec.json.encode(made), type=Disagreement))


def respelt(value: object) -> object:
    """The same, with the keys of each object the other way round."""
    if isinstance(value, dict):
        return {key: respelt(item) for key, item in reversed(value.items())}
    return [respelt(item) for item in value] if isinstance(value, list) else value


MARKED = st.sampled_from(["predictions", "outputs", "choices", "data", "messages", "output"])
ANSWERED = DOCUMENTS | TENSORS | st.dictionaries(MARKED, DOCUMENTS, min_size=1, max_size=1)


@given(ANSWERED, specs | st.just(AgreementSpec()), st.sampled_from([b"", b"/v1/models/m:predict"]))
@settings(max_examples=CASES // 2, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_an_answer_in_another_spelling_agrees_or_is_skipped(document: object, spec: AgreementSpec, path: bytes) -> None:
    champion = Answer(200, [], json.dumps(document).encode())
    other = Answer(200, [], json.dumps(respelt(document), indent=1).encode())
    found = compare(champion, other, spec, path)
    assert not found.finding
    assert found.candidate_failure == found.champion_failure
    assert found.skipped or not found.candidate_failure
