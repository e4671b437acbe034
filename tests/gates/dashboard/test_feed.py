"""Live pictures: one for all, the newest for the slow, none for nobody."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncGenerator, AsyncIterator
from itertools import count

import pytest

from gates.dashboard import feed
from gates.dashboard.feed import BEAT, Crowded, Feeds
from tests.control import in_loop


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(feed, "BEAT_SECONDS", 0.05)


class Painter:
    """It paints numbers, and counts how often it was asked."""

    def __init__(self, pictures: AsyncIterator[bytes] | None = None) -> None:
        self.drawn = 0
        self.ended = False
        self.broken = False
        self.still = False
        self._numbers = count()
        self.feeds = Feeds(ended=lambda: self.ended)

    def draw(self) -> bytes:
        self.drawn += 1
        if self.broken:
            raise LookupError("no such model")
        return b"%d" % (0 if self.still else next(self._numbers))

    def watch(self, subject: str = "") -> AsyncGenerator[bytes, None]:
        return self.feeds.watch(subject, self.draw)


async def until_nobody_draws(painter: Painter) -> None:
    """Fails, by the test's own deadline, where it goes on."""
    while True:
        before = painter.drawn
        await asyncio.sleep(0.05)
        if painter.drawn == before:
            return


@in_loop
async def test_the_first_picture_comes_at_once_and_others_follow() -> None:
    painter = Painter()
    pictures = painter.watch()
    told = [await anext(pictures) for _ in range(3)]
    assert told[0] == b"data: 0\n\n"
    numbers = [int(picture.removeprefix(b"data: ")) for picture in told]
    assert numbers == sorted(set(numbers))


@in_loop
async def test_one_picture_is_drawn_for_all_who_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "EVERY_SECONDS", 0.5)  # so that few come while fifty look on, however slowly
    painter = Painter()
    crowd = [painter.watch() for _ in range(50)]
    for pictures in crowd:
        await anext(pictures)
    drawn = painter.drawn
    told = {await anext(pictures) for pictures in crowd}
    assert len(told) < 5
    assert painter.drawn < drawn + 20, "fifty watchers did not cost fifty pictures each time"


@in_loop
async def test_whoever_is_slow_gets_the_newest_and_not_the_queue() -> None:
    painter = Painter()
    slow = painter.watch()
    await anext(slow)
    await asyncio.sleep(0.3)
    newest = int((await anext(slow)).removeprefix(b"data: "))
    assert newest >= painter.drawn - 3


@in_loop
async def test_nobody_is_drawn_for_once_the_last_has_gone() -> None:
    painter = Painter()
    first, second = painter.watch(), painter.watch()
    await anext(first)
    await anext(second)
    await anext(first)
    await first.aclose()
    await anext(second)
    await second.aclose()
    assert painter.feeds.watchers == 0
    await until_nobody_draws(painter)


@in_loop
async def test_a_stream_that_has_nothing_new_says_that_it_is_alive() -> None:
    painter = Painter()
    painter.still = True
    pictures = painter.watch()
    assert [await anext(pictures), await anext(pictures), await anext(pictures)] == [b"data: 0\n\n", BEAT, BEAT]


@in_loop
async def test_a_stream_ends_after_a_while_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    painter = Painter()
    monkeypatch.setattr(feed, "STREAM_SECONDS", 0.1)
    first = painter.watch()
    assert [picture async for picture in first][:1] == [b"data: 0\n\n"]
    assert painter.feeds.watchers == 0
    again = painter.watch()
    await anext(again)
    assert painter.feeds.watchers == 1
    await again.aclose()


@in_loop
async def test_no_more_than_so_many_watch() -> None:
    painter = Painter()
    crowd = [painter.watch() for _ in range(feed.MOST_WATCHERS)]
    for pictures in crowd:
        await anext(pictures)
    with pytest.raises(Crowded, match="open already"):
        painter.watch()
    await crowd[0].aclose()
    await anext(painter.watch())


@in_loop
async def test_what_cannot_be_drawn_is_told_before_the_stream_and_ends_one_that_runs() -> None:
    painter = Painter()
    pictures = painter.watch()
    await anext(pictures)
    painter.broken = True
    with pytest.raises(LookupError):
        painter.watch()
    assert [picture async for picture in pictures if picture != BEAT][3:] == []
    assert painter.feeds.watchers == 0


@in_loop
async def test_one_that_is_slow_to_go_holds_nobody_to_a_feed_that_is_over(caplog: pytest.LogCaptureFixture) -> None:
    painter = Painter()
    slow = painter.watch()
    await anext(slow)
    painter.broken = True
    await until_nobody_draws(painter)
    painter.broken = False
    later = painter.watch()
    told = [int((await anext(later)).removeprefix(b"data: ")) for _ in range(4)]
    assert told == sorted(set(told))
    assert painter.feeds.watchers == 2
    assert [picture async for picture in slow][2:] == []
    await later.aclose()
    assert painter.feeds.watchers == 0
    await until_nobody_draws(painter)
    gc.collect()
    assert not caplog.records, "a picture that cannot be drawn is no fault of the page's"


@in_loop
async def test_the_end_of_the_process_ends_every_stream() -> None:
    painter = Painter()
    pictures = painter.watch("a"), painter.watch("b")
    for each in pictures:
        await anext(each)
    painter.ended = True
    for each in pictures:
        async for _ in each:
            pass
    assert painter.feeds.watchers == 0


@in_loop
async def test_dear_pictures_come_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that costs a fiftieth of the longest pause is followed by that pause."""
    rests = []
    rest = asyncio.sleep

    async def sleep(seconds: float) -> None:
        rests.append(seconds)
        await rest(0)

    ticks = count(step=0.1)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks))
    pictures = Painter().watch()
    await anext(pictures)
    await anext(pictures)
    assert rests
    assert all(seconds == pytest.approx(5.0) for seconds in rests)
