"""One suite for the store and for its fake: what holds for the one holds for the other."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings

from gates.adapters.store import SqlStore
from gates.ports import StaleGeneration
from gates.state import Commit, Serving, StageClock, State, Trial, WorkerSample
from proxy.push import Sample
from proxy.snapshot import Phase, Snapshot
from proxy.window import Window
from tests.gates.adapters.commits import StoreAndOutbox, answers, commit, rollout, row, sample, snapshot
from tests.strategies import snapshots, windows


def test_an_empty_store_is_the_empty_state(store: StoreAndOutbox) -> None:
    assert store.load() == State()
    assert list(store.history(None, 10)) == []
    assert list(store.waiting()) == []


def test_a_commit_is_there_whole(store: StoreAndOutbox) -> None:
    serving = Serving("m", "40", "@champion", 1)
    store.commit(commit(1, rollouts=(rollout(),), servings=(serving,), errands=(("begin", "{}"),)))
    state = store.load()
    assert state.snapshot == snapshot(1)
    assert (state.servings, state.rollouts) == ((serving,), (rollout(),))
    assert state.tried == {Trial("m", "40", "42")}
    assert list(store.history("m", 10)) == [row(1)]
    assert [(errand.kind, errand.body) for errand in store.waiting()] == [("begin", "{}")]


def test_history_of_a_generation_and_later_ones(store: StoreAndOutbox) -> None:
    """Of the newest, so that whoever follows what is decided need not read all of them again."""
    for generation in range(1, 5):
        other = row(generation, "n")
        store.commit(commit(generation, audit=(row(generation), other)))
    assert [(kept.generation, kept.model) for kept in store.history(None, 10, 4)] == [(4, "n"), (4, "m")]
    assert list(store.history("m", 10, 3)) == [row(4), row(3)]
    assert list(store.history("m", 1, 3)) == [row(4)]
    assert list(store.history("m", 10, 5)) == []
    assert list(store.history("m", 10)) == [row(4), row(3), row(2), row(1)]


@pytest.mark.parametrize("generation", [0, 1, 3])
def test_a_commit_that_does_not_follow_is_refused_whole(store: StoreAndOutbox, generation: int) -> None:
    store.commit(commit(1))
    before = store.load()
    with pytest.raises(StaleGeneration):
        store.commit(commit(generation, rollouts=(rollout(),), errands=(("begin", "{}"),)))
    assert store.load() == before
    assert list(store.history(None, 10)) == [row(1)]
    assert list(store.waiting()) == []


def test_a_later_commit_replaces_servings_and_rollouts_by_their_names(store: StoreAndOutbox) -> None:
    store.commit(commit(1, rollouts=(rollout(),), servings=(Serving("m", "40", "40", 1), Serving("n", "1", "1", 1))))
    ended = replace(rollout(), phase=Phase.PROMOTED, epoch=2)
    store.commit(commit(2, rollouts=(ended,), servings=(Serving("m", "42", "40", 2),), gone=("n",)))
    assert (store.load().servings, store.load().rollouts) == ((Serving("m", "42", "40", 2),), (ended,))


def test_each_models_newest_rollout_is_loaded_and_all_trials(store: StoreAndOutbox) -> None:
    store.commit(commit(1, rollouts=(rollout(), rollout("other", "n"))))
    store.commit(commit(2, rollouts=(rollout("r2", candidate="43", begun=2),)))
    state = store.load()
    assert {kept.id for kept in state.rollouts} == {"r2", "other"}
    assert state.tried == {Trial("m", "40", "42"), Trial("m", "40", "43"), Trial("n", "40", "42")}


def test_a_newer_window_replaces_an_older_one_and_never_the_other_way(store: StoreAndOutbox) -> None:
    store.keep([sample("w1", 1, sequence=2, answers=20), sample("w2", 1, sequence=1, answers=1)], [])
    store.keep([sample("w1", 1, sequence=1, answers=10)], [])
    assert answers(store.load()) == {("w1", 1): 20, ("w2", 1): 1}
    store.keep([sample("w1", 1, sequence=3, answers=30), sample("w1", 2, sequence=3, answers=5)], [])
    assert answers(store.load()) == {("w1", 1): 30, ("w1", 2): 5, ("w2", 1): 1}


def test_an_earlier_stages_clock_never_replaces_a_later_ones(store: StoreAndOutbox) -> None:
    store.keep([], [StageClock("r1", 2, 7.5)])
    store.keep([], [StageClock("r1", 1, 900.0), StageClock("r2", 1, 1.0)])
    assert set(store.load().clocks) == {StageClock("r1", 2, 7.5), StageClock("r2", 1, 1.0)}
    moved = StageClock("r1", 2, 8.5, 9.5, '[{"gate": "errors", "rate": 0.1}]')
    store.keep([], [moved])
    assert moved in store.load().clocks


def test_keeping_tells_the_generation(store: StoreAndOutbox) -> None:
    assert store.keep([], []) == 0
    store.commit(commit(1))
    assert store.keep([sample("w1", 1, 1)], []) == 1


def test_a_rollout_that_begins_drops_what_was_kept_of_the_one_before(store: StoreAndOutbox) -> None:
    store.commit(commit(1, rollouts=(rollout(), rollout("other", "n"))))
    store.keep(
        [sample("w1", 1, 1), sample("w1", 2, 1), sample("w1", 1, 1, model="n")],
        [StageClock("r1", 1, 5.0), StageClock("other", 1, 6.0)],
    )
    store.commit(commit(2, rollouts=(replace(rollout(), phase=Phase.ROLLED_BACK, epoch=2),)))
    assert len(store.load().samples) == 3
    store.commit(commit(3, rollouts=(rollout("r2", candidate="43", begun=3),)))
    state = store.load()
    assert [kept.sample.model for kept in state.samples] == ["n"]
    assert state.clocks == (StageClock("other", 1, 6.0),)


def test_history_is_newest_first_of_one_model_or_of_all(store: StoreAndOutbox) -> None:
    for generation in range(1, 6):
        store.commit(commit(generation, audit=(row(generation, "m"), row(generation, "n"))))
    assert [(kept.generation, kept.model) for kept in store.history("n", 2)] == [(5, "n"), (4, "n")]
    assert [(kept.generation, kept.model) for kept in store.history(None, 3)] == [(5, "n"), (5, "m"), (4, "n")]


def test_a_note_is_a_row_under_the_generation_that_is(store: StoreAndOutbox) -> None:
    store.commit(commit(1))
    before = store.load()
    store.note(row(0, model="", event="reload_refused"))
    assert [(each.event, each.generation) for each in store.history(None, 10)] == [("reload_refused", 1), ("climb", 1)]
    assert store.load() == before
    store.commit(commit(2))


def test_who_asks_first_leads(store: StoreAndOutbox) -> None:
    assert store.lead(60) == store.name
    store.resign()
    assert store.lead(60) == store.name


def test_errands_wait_in_order_until_they_are_done(store: StoreAndOutbox) -> None:
    store.commit(commit(1, errands=(("begin", "1"), ("finish", "2"))))
    store.commit(commit(2, errands=(("begin", "3"),)))
    first, second, third = store.waiting()
    assert [first.body, second.body, third.body] == ["1", "2", "3"]
    store.done(second.id)
    store.done(second.id)
    assert [errand.body for errand in store.waiting()] == ["1", "3"]
    store.commit(commit(3, errands=(("finish", "4"),)))
    assert [errand.body for errand in store.waiting()] == ["1", "3", "4"]


@given(snapshots(), windows())
@settings(max_examples=25, deadline=None)
def test_snapshots_and_windows_come_back_as_they_went(taken: Snapshot, window: Window) -> None:
    store = SqlStore("sqlite://")
    try:
        store.load()
        store.commit(Commit(replace(taken, generation=1), ()))
        store.keep([WorkerSample("w", 1, Sample("m", 1, window))], [])
        state = store.load()
        assert state.snapshot == replace(taken, generation=1)
        assert state.samples[0].sample.window == window
    finally:
        store.close()
