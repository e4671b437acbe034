from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from proxy.push import Push, encode_push
from proxy.snapshot import ModelRoute, Origin, Slice, Snapshot, Target
from proxy.window import Window
from proxy.windows import MOST_IN_A_PUSH, RETIREMENT, Windows

ROUTE = ModelRoute("m", "/", Target("1", (Origin("127.0.0.1", 8001),)))
NEXT = replace(ROUTE, epoch=7)
OTHER = replace(ROUTE, model="n", path_prefix="/n")
AT_ONCE = MOST_IN_A_PUSH // Window().lanes
MANY = [replace(ROUTE, model=f"m{number}", path_prefix=f"/m{number}") for number in range(3 * AT_ONCE + 1)]


def _keys(push: Push) -> list[tuple[str, int]]:
    return [(sample.model, sample.epoch) for sample in push.samples]


def test_a_push_brings_what_changed_and_no_more() -> None:
    windows = Windows("w")
    assert windows.next_push().samples == ()
    windows.of(NEXT).fallbacks += 1
    windows.of(OTHER).fallbacks += 1
    push = windows.next_push()
    assert push.worker == "w"
    assert _keys(push) == [("m", 7), ("n", 0)]
    assert _keys(windows.next_push()) == []


def test_nothing_has_changed_at_first_and_after_a_push() -> None:
    windows = Windows("w")
    states = [windows.changed]
    windows.of(ROUTE)
    states.append(windows.changed)
    windows.next_push()
    states.append(windows.changed)
    assert states == [False, True, False]


def test_sequences_rise_by_one() -> None:
    windows = Windows("w")
    assert [windows.next_push().sequence for _ in range(3)] == [1, 2, 3]


def test_windows_are_cumulative_and_apart_by_model_and_epoch() -> None:
    windows = Windows("w")
    for _ in range(3):
        windows.of(ROUTE).fallbacks += 1
        windows.next_push()
    windows.of(NEXT).fallbacks += 1
    assert windows.of(ROUTE).fallbacks == 3
    assert windows.of(NEXT).fallbacks == 1
    assert windows.of(OTHER) == Window()


@given(st.lists(st.sampled_from(["count", "push", "lose"]), max_size=30))
def test_whatever_is_lost_the_last_push_that_arrives_brings_all(events: list[str]) -> None:
    windows = Windows("w")
    received: dict[tuple[str, int], int] = {}
    counted = 0
    for event in [*events, "push"]:
        if event == "count":
            windows.of(ROUTE).fallbacks += 1
            counted += 1
            continue
        push = windows.next_push()
        if event == "lose":
            windows.put_back(push)
        else:
            received |= {(sample.model, sample.epoch): sample.window.fallbacks for sample in push.samples}
    assert received.get(("m", 0), 0) == counted


def test_a_push_holds_so_many_windows_and_first_what_has_waited_longest() -> None:
    windows = Windows("w")
    for route in MANY:
        windows.of(route)
    first = windows.next_push()
    for route in MANY:
        windows.of(route)
    told = [first, *(windows.next_push() for _ in range(3))]
    assert [len(push.samples) for push in told] == [AT_ONCE] * 4
    models = [sample.model for push in told for sample in push.samples]
    expected = [route.model for route in MANY]
    assert models == (expected * 2)[: len(models)]


def test_the_values_of_slices_take_room_in_a_push() -> None:
    windows = Windows("w")
    tier = Slice("tier", "header", "x-tier")
    for plain in MANY[:AT_ONCE]:
        route = replace(plain, slices=(tier,))
        for value in ("gold", "iron"):  # two lanes each, and so as many as the window itself
            windows.of(route).sliced(route, (("tier", value),))
    assert len(windows.next_push().samples) == AT_ONCE // 2


@given(st.lists(st.one_of(st.integers(0, len(MANY) - 1), st.sampled_from(["push", "lose"])), max_size=400))
def test_of_many_models_none_is_passed_over_whatever_is_lost(events: list[int | str]) -> None:
    windows = Windows("w")
    counted: Counter[str] = Counter()
    received: dict[str, int] = {}
    for event in [*events, *["push"] * (len(MANY) // AT_ONCE + 1)]:
        if isinstance(event, int):
            windows.of(MANY[event]).fallbacks += 1
            counted[MANY[event].model] += 1
            continue
        push = windows.next_push()
        if event == "lose":
            windows.put_back(push)
        else:
            received |= {sample.model: sample.window.fallbacks for sample in push.samples}
    assert received == counted
    assert not windows.changed


def test_what_is_never_received_keeps_nothing_else_waiting() -> None:
    windows = Windows("w")
    for route in MANY:
        windows.of(route)
    told: set[str] = set()
    for _ in MANY:
        push = windows.next_push()
        if MANY[0].model in [sample.model for sample in push.samples]:
            windows.put_back(push)
        else:
            told |= {sample.model for sample in push.samples}
    assert told >= {route.model for route in MANY[AT_ONCE:]}


def test_an_old_window_is_forgotten_when_it_was_received_and_long_left() -> None:
    windows = Windows("w")
    windows.of(ROUTE).fallbacks += 1
    routed = Snapshot(2, (NEXT,))
    windows.forget_old(routed, now=0.0)
    windows.forget_old(routed, now=RETIREMENT + 1)
    assert windows.of(ROUTE).fallbacks == 1, "it was not received yet"
    windows.next_push()
    windows.forget_old(routed, now=RETIREMENT + 2)
    assert windows.of(ROUTE).fallbacks == 0


def test_a_window_that_is_routed_by_again_is_kept() -> None:
    windows = Windows("w")
    windows.of(ROUTE).fallbacks += 1
    windows.next_push()
    windows.forget_old(Snapshot(2, (NEXT,)), now=0.0)
    windows.forget_old(Snapshot(3, (ROUTE,)), now=RETIREMENT)
    windows.forget_old(Snapshot(4, (NEXT,)), now=RETIREMENT * 2)
    assert windows.of(ROUTE).fallbacks == 1


def test_a_push_holds_what_was_counted_when_it_was_encoded() -> None:
    windows = Windows("w")
    windows.of(ROUTE).fallbacks += 1
    sent = encode_push(windows.next_push())
    windows.of(ROUTE).fallbacks += 1
    assert encode_push(windows.next_push()) != sent


def test_the_first_request_of_each_unit_is_counted_apart_and_with_all() -> None:
    windows = Windows("w")
    route = replace(ROUTE, by_unit=True)
    for unit in (b"ada", b"bob", b"ada", b"ada", b"bob", b"eve"):
        windows.of(route, windows.first(route, unit)).champion.observe(200, 0.01)
    (sample,) = windows.next_push().samples
    assert sample.window.champion.answers == 6
    assert sample.window.firsts is not None
    assert sample.window.firsts.champion.answers == 3
    assert sample.window.firsts.firsts is None


def test_a_unit_is_new_in_each_epoch_and_only_where_that_is_asked() -> None:
    windows = Windows("w")
    here, there = replace(ROUTE, by_unit=True), replace(NEXT, by_unit=True)
    assert [windows.first(route, b"ada") for route in (here, here, there, ROUTE)] == [True, False, True, False]


def test_units_are_forgotten_with_their_windows() -> None:
    windows = Windows("w")
    route = replace(ROUTE, by_unit=True)
    windows.of(route, windows.first(route, b"ada"))
    windows.next_push()
    windows.forget_old(Snapshot(9, (NEXT,)), 0.0)
    windows.forget_old(Snapshot(9, (NEXT,)), RETIREMENT + 1)
    windows.of(NEXT)
    assert _keys(windows.next_push()) == [("m", 7)]
    assert windows.first(route, b"ada")
