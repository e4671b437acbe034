from __future__ import annotations

from collections.abc import Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from gates.controller.ledger import ERAS_KEPT, Ledger, Versions
from gates.state import WorkerSample
from proxy.push import Push, Sample
from proxy.window import Window, merge_all

TRIAL = Versions("40", "42")


def window(answers: int) -> Window:
    made = Window()
    for _ in range(answers):
        made.candidate.observe(200, 0.01)
    return made


def push(worker: str, sequence: int, *epochs: tuple[int, int], model: str = "m") -> Push:
    return Push(worker, sequence, tuple(Sample(model, epoch, window(answers)) for epoch, answers in epochs))


def ledger_of(*pushes: Push, epochs: Sequence[int] = (1,)) -> Ledger:
    ledger = Ledger()
    for epoch in epochs:
        ledger.follow("m", epoch, TRIAL)
    for made in pushes:
        ledger.take(made)
    return ledger


def answers(ledger: Ledger, epoch: int = 1) -> int:
    return ledger.window("m", epoch).candidate.answers


def total(ledger: Ledger) -> int:
    return sum(window.candidate.answers for window in ledger.totals("m").values())


# Each worker's counts only grow, and each push carries the count of its sequence.
growths = st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=5), min_size=1, max_size=4)


@given(growths, st.randoms(use_true_random=False), st.integers(1, 3))
def test_order_and_repetition_of_pushes_do_not_matter(growth: list[list[int]], chance: Random, times: int) -> None:
    pushes = [
        push(f"w{worker}", sequence + 1, (1, sum(steps[: sequence + 1])))
        for worker, steps in enumerate(growth)
        for sequence in range(len(steps))
    ] * times
    chance.shuffle(pushes)
    assert answers(ledger_of(*pushes)) == sum(map(sum, growth))


@given(st.dictionaries(st.sampled_from(["w1", "w2", "w3"]), st.integers(0, 20)))
def test_a_window_is_the_merge_over_the_workers(counts: dict[str, int]) -> None:
    ledger = ledger_of(*(push(worker, 1, (1, count)) for worker, count in counts.items()))
    assert ledger.window("m", 1) == merge_all(window(count) for count in counts.values())


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 9)), max_size=30))
def test_no_total_ever_falls_and_none_is_lost_by_folding(stages: list[tuple[int, int]]) -> None:
    """Eras follow each other, each with a push; every count stays in the totals, whatever is folded."""
    ledger, expected, epoch = Ledger(), 0, 0
    for sequence, (step, count) in enumerate(stages, start=1):
        epoch += step
        ledger.follow("m", epoch, Versions(str(sequence)))
        ledger.take(push("w", sequence, (epoch, count)))
        expected += count
        assert total(ledger) == expected


def test_cumulative_windows_replace_each_other() -> None:
    ledger = ledger_of(push("w", 1, (1, 10)))
    assert ledger.take(push("w", 2, (1, 25))) == {"m"}
    assert answers(ledger) == 25


def test_an_older_sequence_is_ignored() -> None:
    ledger = ledger_of(push("w", 2, (1, 25)))
    assert ledger.take(push("w", 1, (1, 10))) == set()
    assert answers(ledger) == 25


def test_a_worker_that_began_anew_adds_to_what_the_old_one_saw() -> None:
    assert answers(ledger_of(push("host-1", 9, (1, 10)), push("host-2", 1, (1, 3)))) == 13


def test_stages_are_apart_and_add_up_in_the_totals() -> None:
    ledger = ledger_of(push("w", 1, (1, 10), (4, 5)), epochs=(1, 4))
    assert (answers(ledger, 1), answers(ledger, 4), total(ledger)) == (10, 5, 15)
    assert [epoch for epoch, _ in ledger.windows("m", 1, 4)] == [1, 4]
    assert [epoch for epoch, _ in ledger.windows("m", 2, 9)] == [4]


def test_the_merged_window_is_the_same_object_until_it_changes() -> None:
    ledger = ledger_of(push("w", 1, (1, 1)))
    before = ledger.window("m", 1)
    assert ledger.window("m", 1) is before
    ledger.take(push("w", 2, (1, 2)))
    assert ledger.window("m", 1) is not before


def test_what_nobody_was_told_of_is_ignored() -> None:
    ledger = ledger_of(epochs=(3,))
    for stranger in (push("w", 1, (2, 1)), push("w", 1, (4, 1)), push("w", 1, (3, 1), model="nobody")):
        assert ledger.take(stranger) == set()
    assert total(ledger) == 0


def test_only_the_last_eras_are_kept_by_epoch() -> None:
    ledger = Ledger()
    for epoch in range(1, ERAS_KEPT + 2):
        ledger.follow("m", epoch, Versions(str(epoch)))
        ledger.take(push("w", epoch, (epoch, 1)))
    assert ledger.take(push("w", 99, (1, 100))) == set()
    assert ledger.take(push("w", 99, (2, 100))) == {"m"}
    assert total(ledger) == 100 + ERAS_KEPT


def test_versions_that_meet_again_share_a_total() -> None:
    ledger = Ledger()
    for epoch, versions in enumerate([TRIAL, Versions("40"), TRIAL, Versions("40"), TRIAL, Versions("40")], start=1):
        ledger.follow("m", epoch, versions)
        ledger.take(push("w", epoch, (epoch, epoch)))
    assert {v: w.candidate.answers for v, w in ledger.totals("m").items()} == {TRIAL: 9, Versions("40"): 12}


def test_changes_are_told_once_and_again_where_they_were_not_kept() -> None:
    ledger = ledger_of(push("w", 1, (1, 1), (2, 1)), epochs=(1, 2))
    changed = ledger.changed(lambda model, epoch: epoch == 1)
    assert [(kept.worker, kept.sample.epoch) for kept in changed] == [("w", 1)]
    assert ledger.changed(lambda model, epoch: True) == []
    ledger.put_back(changed)
    ledger.take(push("w", 2, (1, 5)))
    assert [kept.sequence for kept in ledger.changed(lambda model, epoch: True)] == [2]


def test_what_is_restored_is_not_a_change_and_replaces_nothing_newer() -> None:
    ledger = ledger_of(push("w", 5, (1, 9)))
    ledger.changed(lambda model, epoch: True)
    ledger.restore([WorkerSample("w", 4, Sample("m", 1, window(3))), WorkerSample("v", 1, Sample("m", 1, window(2)))])
    assert answers(ledger) == 11
    assert ledger.changed(lambda model, epoch: True) == []
