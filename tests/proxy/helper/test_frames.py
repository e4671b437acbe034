from __future__ import annotations

import json
from io import BytesIO
from time import process_time

import pytest

from proxy.anonymity import Veil
from proxy.comparison import Answer
from proxy.helper.frames import FoundReader, found_framed, framed, read_pair
from proxy.pairs import Pair, look_at
from proxy.snapshot import AgreementSpec

FIELDS = [(b"content-type", b"application/json"), (b"content-encoding", b"")]
PAIR = Pair(
    Answer(200, FIELDS, json.dumps({"predictions": [0.25, 0.5]}).encode()),
    Answer(201, [], b'{"predictions": [0.25, NaN]}'),
    AgreementSpec(kind="probability", ignore=("a.b",)),
    b"/invocations?x=1",
    Veil(b"x-user: ada\r\n", b"", ("a.b",)),
)


@pytest.mark.parametrize("counted", [True, False])
def test_a_pair_arrives_as_it_was_sent(counted: bool) -> None:
    stream = BytesIO(b"".join(framed(PAIR, counted)) * 2)
    assert [read_pair(stream) for _ in range(3)] == [(PAIR, counted), (PAIR, counted), None]


def test_bodies_are_not_copied_into_the_frame() -> None:
    parts = framed(PAIR, True)
    assert parts[1] is PAIR.champion.body
    assert parts[2] is PAIR.other.body


def test_a_stream_that_breaks_off_has_come_to_its_end() -> None:
    whole = b"".join(framed(PAIR, True))
    assert all(read_pair(BytesIO(whole[:size])) is None for size in range(len(whole)))


def test_what_was_found_is_put_together_from_any_pieces() -> None:
    found = look_at(PAIR, True, process_time)
    assert (found.comparison.finding, found.comparison.candidate_failure) == ("new_nan", "new_nan")
    assert found.outputs is not None
    stream, reader = found_framed(found) * 2, FoundReader()
    pieces = [reader.feed(stream[at : at + 7]) for at in range(0, len(stream), 7)]
    assert [one for piece in pieces for one in piece] == [found, found]
    assert reader.feed(stream) == [found, found]
