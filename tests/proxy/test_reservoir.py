from __future__ import annotations

import json

from proxy.comparison import Answer, compare
from proxy.disagreements import Disagreement, Request
from proxy.push import decode_push, encode_push
from proxy.reservoir import MOST_IN_A_PUSH, Reservoir
from proxy.snapshot import ModelRoute, Snapshot
from proxy.windows import Windows
from tests.proxy.test_disagreements import JSON, route


def offered(reservoir: Reservoir, number: int, to: ModelRoute, text: str = "") -> None:
    champion = Answer(200, JSON, json.dumps({"predictions": [0], "of": text}).encode())
    candidate = Answer(200, JSON, json.dumps({"predictions": [number + 1]}).encode())
    request = Request("POST", b"/invocations", b"x-request-id: %d\r\n" % number, b"{}")
    comparison = compare(champion, candidate, to.agreement)
    reservoir.offer(comparison.finding, comparison, to, "champion", request, champion, candidate)


def taken(reservoir: Reservoir) -> list[Disagreement]:
    pairs: list[Disagreement] = []
    while reservoir.waiting:
        pairs += reservoir.next()
    return pairs


def test_of_many_pairs_that_differ_few_are_ever_pushed() -> None:
    reservoir, to = Reservoir("w"), route(keep=5)
    for number in range(2000):
        offered(reservoir, number, to)
    assert len(taken(reservoir)) == 10
    for number in range(2000, 4000):
        offered(reservoir, number, to)
    assert len(taken(reservoir)) <= 20  # 2 keep ln 2 = 7 on average


def test_with_a_new_rollout_it_begins_anew_and_the_old_is_forgotten() -> None:
    reservoir, to = Reservoir("w"), route(keep=1)
    for number in range(50):
        offered(reservoir, number, to)
    taken(reservoir)
    reservoir.forget_old(Snapshot(1, ()))
    offered(reservoir, 1, to)
    assert len(taken(reservoir)) == 1


def test_what_was_not_received_is_pushed_again() -> None:
    windows, to = Windows("w"), route(keep=3)
    offered(windows.reservoir, 1, to)
    before, lost, behind = windows.changed, windows.next_push(), windows.changed
    assert (before, behind) == (True, False)
    windows.put_back(lost)
    offered(windows.reservoir, 2, to)
    again = windows.next_push()
    assert [pair.id for pair in again.disagreements] == ["w-1", "w-2"]
    assert decode_push(encode_push(again)) == again


def test_one_push_is_never_large() -> None:
    reservoir, to = Reservoir("w"), route(keep=100, max_bytes=64 * 1024)
    for number in range(100):
        offered(reservoir, number, to, "x" * 60_000)
    first = reservoir.next()
    assert 0 < len(first) < 100
    assert sum(len(pair.champion.body) for pair in first) < MOST_IN_A_PUSH + 64 * 1024
    assert reservoir.waiting
