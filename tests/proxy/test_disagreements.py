from __future__ import annotations

import json
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from proxy.comparison import Answer, Comparison, compare
from proxy.disagreements import (
    NO_ANSWER,
    AnswerOnRecord,
    Disagreement,
    Ranked,
    Request,
    Selection,
    finding_of,
    ranked,
    recorded,
    representative,
    severity_of,
    worst,
)
from proxy.snapshot import AgreementSpec, ModelRoute, Origin, RecordPolicy, Target

JSON = [(b"content-type", b"application/json")]
pairs = st.lists(
    st.builds(
        Ranked,
        st.integers(0, 10_000).map(str),
        st.sampled_from(["label", "number"]),
        st.sampled_from([0.5, 1.0]),
        st.integers(0, 9),
    ),
    unique_by=lambda pair: pair.id,
    max_size=40,
)


def route(**policy: object) -> ModelRoute:
    forty, forty_two = (Target(version, (Origin("h", 1),)) for version in ("40", "42"))
    return ModelRoute("m", "/", forty, forty_two, epoch=3, salt="r1", record=RecordPolicy(**policy))  # type: ignore[arg-type]


def kept_of(found: Sequence[Ranked], keep: int) -> set[Ranked]:
    """What selecting one after the other leaves."""
    selection, kept = Selection(keep), {}
    for pair in found:
        kept[pair.id] = pair
        for gone in selection.add(pair):
            kept.pop(gone)
    return set(kept.values())


@given(pairs, st.integers(1, 4))
def test_what_is_kept_is_the_worst_and_a_fair_sample_of_each_finding(found: list[Ranked], keep: int) -> None:
    expected = set[Ranked]()
    for name in ("label", "number"):
        named = [pair for pair in found if pair.finding == name]
        expected |= {*worst(named, keep), *representative(named, keep)}
    assert kept_of(found, keep) == expected


@given(pairs, st.integers(1, 4), st.lists(st.integers(0, 2), min_size=40, max_size=40))
def test_selecting_from_the_workers_selections_is_selecting_from_all(
    found: list[Ranked], keep: int, workers: list[int]
) -> None:
    by_worker = [[pair for pair, at in zip(found, workers, strict=False) if at == worker] for worker in range(3)]
    pushed = [pair for each in by_worker for pair in kept_of(each, keep)]
    assert kept_of(pushed, keep) == kept_of(found, keep)


def test_a_pair_that_comes_twice_is_one() -> None:
    selection, pair = Selection(2), Ranked("a", "label", 1.0, 5)
    assert selection.add(pair) == selection.add(pair) == []
    assert selection.add(Ranked("b", "label", 1.0, 4)) == []
    assert selection.add(Ranked("c", "label", 1.0, 6)) == []
    assert selection.add(Ranked("d", "label", 0.5, 7)) == ["d"]


def test_a_pair_is_named_by_its_difference_or_by_how_the_candidate_failed() -> None:
    fine = Answer(200, JSON, b'{"predictions": [1]}')
    other = Answer(200, JSON, b'{"predictions": [2]}')
    for candidate, name in [
        (fine, ""),
        (other, "label"),
        (Answer(400, JSON, b"{}"), "status_4xx"),
        (Answer(500, JSON, b"{}"), "status_5xx"),
        (Answer(200, JSON, b'{"error": "no"}'), "error_in_200"),
    ]:
        assert finding_of(compare(fine, candidate, AgreementSpec()), fine, candidate) == name
    failed = Answer(500, JSON, b"{}")
    assert finding_of(compare(failed, failed, AgreementSpec()), failed, failed) == ""
    late = Comparison(candidate_failure="timeout")
    assert finding_of(late, fine, NO_ANSWER) == "timeout"
    assert finding_of(late, Answer(404, JSON, b"{}"), NO_ANSWER) == ""


def test_severity_rises_with_the_rows_that_differ_and_with_the_gap() -> None:
    few, many = Comparison("number", rows=10, rows_disagreed=1), Comparison("number", rows=10, rows_disagreed=9)
    wide = Comparison("number", rows=10, rows_disagreed=9, largest_gap=1e300)
    assert 0 < severity_of(few) < severity_of(many) < severity_of(wide) <= 2


def test_a_record_tells_what_was_asked_what_was_answered_and_where_they_differ() -> None:
    request = Request(
        "POST",
        b"/invocations?key=hush",
        b"content-type: application/json\r\nx-request-id: r-7\r\n",
        b'{"inputs": [1, 2, 3]}',
    )
    champion = Answer(200, JSON, b'{"predictions": [1, 2, 3]}')
    candidate = Answer(200, JSON, b'{"predictions": [1, 2, 9]}')
    comparison = compare(champion, candidate, AgreementSpec())
    made = recorded(Ranked("w-1", "label", 0.3, 9), comparison, route(), "champion", request, champion, candidate)
    assert made == Disagreement(
        id="w-1", model="m", epoch=3, finding="label", severity=0.3, lot=9, rows=3, rows_disagreed=1, row=2,
        largest_gap=0.0, served="champion", request_id="r-7", method="POST", path="/invocations",
        headers={"content-type": "application/json", "x-request-id": "r-7"}, request='{"inputs":[1,2,3]}',
        champion=AnswerOnRecord("40", 200, '{"predictions":[1,2,3]}'),
        candidate=AnswerOnRecord("42", 200, '{"predictions":[1,2,9]}'),
    )  # fmt: skip
    assert ranked(made) == Ranked("w-1", "label", 0.3, 9)


def test_of_a_stream_and_of_an_encoded_answer_what_was_read_is_kept() -> None:
    import gzip

    chunk = {"choices": [{"index": 0, "delta": {"content": "hello jane"}, "finish_reason": "stop"}]}
    stream = Answer(
        200, [(b"content-type", b"text/event-stream")], f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode()
    )
    zipped = Answer(200, [*JSON, (b"content-encoding", b"gzip")], gzip.compress(b'{"predictions": ["jane"]}'))
    request = Request("POST", b"/v1/chat/completions", b"", b'{"user": "jane"}')
    marked = route(fields=("user",))
    made = recorded(Ranked("w", "text", 1, 1), Comparison("text"), marked, "champion", request, stream, zipped)
    assert made.champion.body == '{"predictions":["hello [redacted]"]}'
    assert made.candidate.body == '{"predictions":["[redacted]"]}'
    long = Answer(200, JSON, None)
    kept = recorded(Ranked("w", "text", 1, 1), Comparison("text"), marked, "champion", request, long, long)
    assert kept.champion.body == "[withheld: longer than agreement.max_body]"
