from __future__ import annotations

from gates.controller.workers import Workers
from proxy.snapshot import Snapshot

HERE = Snapshot(3, ())


def test_a_worker_is_live_for_three_seconds() -> None:
    workers = Workers()
    workers.heard("w", 10.0)
    assert workers.live(13.0) == {"w": 0}
    assert workers.live(13.1) == {}


def test_a_generation_counts_where_it_was_sent_from_here() -> None:
    workers = Workers()
    assert workers.polled("w", 3, 1.0) is None
    assert workers.live(1.0) == {"w": 0}
    workers.sent("w", HERE, 1.0)
    assert workers.live(1.0) == {"w": 0}
    assert workers.polled("w", 3, 1.0) is HERE
    assert workers.live(1.0) == {"w": 3}


def test_a_worker_that_names_another_generation_routes_by_none_of_ours() -> None:
    workers = Workers()
    workers.sent("w", HERE, 1.0)
    workers.polled("w", 3, 1.0)
    assert workers.polled("w", 2, 1.0) is None
    assert workers.live(1.0) == {"w": 0}


def test_a_worker_that_was_forgotten_starts_over() -> None:
    workers = Workers()
    workers.sent("w", HERE, 1.0)
    assert workers.live(100.0) == {}
    assert workers.polled("w", 3, 100.0) is None
