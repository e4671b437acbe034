"""The points that the charts draw: true to the windows, and bounded."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gates.controller.history import COLUMNS, RECENT, WHOLE, History, Point, joined, thinned
from gates.phases import Event
from tests.control import MODEL, Desk, Worker, in_loop

COUNTS = [
    name for name in COLUMNS if name.endswith(("answers", "failures")) or name in ("champion", "candidate", "copies")
]


class Chart:
    """A history that is sampled by hand, two seconds after the last time."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.history = History()
        self.sample()

    def sample(self) -> None:
        self.desk.clock.advance(2.0)
        self.history.sample(self.desk.controller.observer, self.desk.clock.monotonic(), self.desk.clock.wall())

    @property
    def points(self) -> tuple[Point, ...]:
        return self.history.series(MODEL).recent


async def routed(desk: Desk) -> Worker:
    worker = desk.worker()
    await worker.poll()
    return worker


@in_loop
async def test_a_point_is_what_came_between_two_looks() -> None:
    async with Desk() as desk:
        worker, chart = await routed(desk), Chart(desk)
        worker.traffic(100, failures=3, differing=10)
        worker.push()
        chart.sample()
        worker.traffic(50)
        worker.push()
        chart.sample()
        first, second = chart.points
        assert (first.champion, first.candidate, first.copies) == (100, 0, 100)
        assert (first.candidate_failures, first.champion_failures, first.seconds) == (3, 0, 2.0)
        assert (second.champion, second.copies, second.candidate_failures) == (50, 50, 0)
        assert first.agreement == 0.9
        assert second.agreement == 1 - 10 / 150, "of the stage so far"
        assert first.agreement_low is not None
        assert first.agreement_high is not None
        assert first.agreement_low < 0.9 < first.agreement_high
        assert first.candidate_p50 is not None
        assert 9 < first.candidate_p50 < 11
        assert first.noise is None


@in_loop
async def test_what_was_seen_before_this_process_is_no_traffic_of_now() -> None:
    async with Desk() as first:
        worker = await routed(first)
        worker.traffic(100)
        worker.push()
    async with first.next() as second:
        chart = Chart(second)
        worker.controller = second.controller
        worker.traffic(9_000)
        worker.push()
        for _ in range(3):
            chart.sample()
        worker.traffic(20)
        worker.push()
        chart.sample()
        assert [point.champion for point in chart.points] == [0, 20]


@in_loop
async def test_nothing_is_lost_where_one_stage_ends_and_the_next_begins() -> None:
    async with Desk() as desk:
        worker, chart = await routed(desk), Chart(desk)
        worker.traffic(100)
        worker.push()
        chart.sample()
        worker.traffic(30)
        await desk.command(Event.CLIMB)
        await worker.poll()
        worker.traffic(20)
        worker.push()
        chart.sample()
        chart.sample()
        before, across, after = chart.points
        assert (before.position, across.position, after.position) == (0, 1, 1)
        assert (across.champion, across.copies, across.candidate) == (30, 30, 20)
        assert across.percent == 5.0
        assert after.champion == after.candidate == 0
        assert after.champion_p50 is None


@in_loop
async def test_another_rollout_begins_another_past_and_an_ended_one_that_is_quiet_adds_nothing() -> None:
    async with Desk() as desk:
        worker, chart = await routed(desk), Chart(desk)
        worker.traffic(10)
        worker.push()
        chart.sample()
        await desk.command(Event.ROLL_BACK)
        chart.sample()
        chart.sample()
        kept = chart.points
        chart.sample()
        assert chart.points == kept
        await desk.controller.start_rollout(MODEL, "43", "ada", "again")
        chart.sample()
        assert chart.points == ()


@in_loop
async def test_its_memory_is_bounded_and_the_whole_reaches_back_to_the_start() -> None:
    async with Desk() as desk:
        worker, chart = await routed(desk), Chart(desk)
        started, sent = desk.clock.wall(), 0
        for _ in range(2_000):
            worker.traffic(1)
            sent += 1
            worker.push()
            chart.sample()
        series = chart.history.series(MODEL)
        assert len(series.recent) == RECENT
        assert WHOLE / 4 < len(series.whole) < WHOLE
        assert sum(point.champion for point in series.whole) == sent
        assert series.whole[0].at - series.whole[0].seconds == started
        assert sum(point.seconds for point in series.whole) == desk.clock.wall() - started
        longest = max(point.seconds for point in series.whole[:-1])
        assert all(point.seconds >= longest / 2 for point in series.whole[:-1]), "it is even"


def test_a_model_without_a_rollout_has_no_points() -> None:
    series = History().series("nobody")
    assert (series.rollout, series.recent, series.whole) == ("", (), ())
    assert series.columns == COLUMNS


shares = st.none() | st.floats(0, 1)
times = st.none() | st.floats(0.1, 1e4)
points = st.builds(
    Point,
    *(st.floats(0, 1e9), st.floats(0.1, 100), st.integers(0, 2), st.floats(0, 100)),
    *(st.integers(0, 1_000) for _ in range(7)),
    *(times for _ in range(4)),
    *(shares for _ in range(4)),
)


@given(first=points, second=points)
def test_joining_adds_counts_and_keeps_the_worse_tail(first: Point, second: Point) -> None:
    both = joined(first, second)
    assert all(getattr(both, name) == getattr(first, name) + getattr(second, name) for name in COUNTS)
    assert both.seconds == first.seconds + second.seconds
    assert both.agreement == second.agreement
    for name in ("champion_p50", "candidate_p50"):
        known = [value for value in (getattr(first, name), getattr(second, name)) if value is not None]
        if known:
            assert min(known) * 0.999 <= getattr(both, name) <= max(known) * 1.001
    tails = [value for value in (first.candidate_p99, second.candidate_p99) if value is not None]
    assert both.candidate_p99 == max(tails, default=None)


@given(st.lists(points))
def test_thinning_loses_no_count_and_joins_no_two_stages(some: list[Point]) -> None:
    thin = thinned(some)
    assert all(sum(getattr(p, name) for p in thin) == sum(getattr(p, name) for p in some) for name in COUNTS)
    changes = sum(a.position != b.position for a, b in pairwise(some))
    assert len(thin) <= len(some) / 2 + changes + 1
    assert sum(a.position != b.position for a, b in pairwise(thin)) == changes
