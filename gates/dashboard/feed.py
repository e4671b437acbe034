"""Live pictures for all who watch, at a cost that does not grow with them.

A picture is drawn once for all watchers of a subject, and only while there are any. Whoever is slow gets the newest
picture as soon as the last one is taken, and never the ones between: nothing queues up. After each picture comes a rest
of at least fifty times what it cost, so that no number of models, nor of watchers, makes pictures take more than 2 % of
a core."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress

EVERY_SECONDS = 1.0
LONGEST_SECONDS = 10.0
SHARE = 0.02
MOST_WATCHERS = 100
STREAM_SECONDS = 120.0
"""A stream ends after so long: whoever asks again is looked at anew, and may have lost the right by then."""
BEAT_SECONDS = 4.0
"""A stream that has nothing new says at least so often that it is alive."""

BEAT = b": nothing new\n\n"

Draw = Callable[[], bytes]


class Crowded(Exception):
    """As many watch already as may."""

    def __init__(self) -> None:
        super().__init__(f"{MOST_WATCHERS} dashboards are open already")


class Feeds:
    """One feed for each subject that is watched: a model's name, "" for all of them."""

    def __init__(self, ended: Callable[[], bool]) -> None:
        """`ended` tells that the process is about to end: every stream does, too."""
        self._ended = ended
        self.watchers = 0
        self._feeds: dict[str, _Feed] = {}

    def watch(self, subject: str, draw: Draw) -> AsyncGenerator[bytes, None]:
        """Server-sent events, the first one at once. Raises Crowded, and whatever `draw` raises now; if it raises later
        the stream ends, and whoever asks again is told."""
        if self.watchers >= MOST_WATCHERS:
            raise Crowded
        first = draw()
        return self._stream(subject, draw, first)

    async def _stream(self, subject: str, draw: Draw, first: bytes) -> AsyncGenerator[bytes, None]:
        feed, until = self._feed(subject, draw), time.monotonic() + STREAM_SECONDS
        feed.watchers += 1
        self.watchers += 1
        try:
            yield event(first)
            async for picture in feed.pictures(first):
                yield event(picture) if picture else BEAT
                if time.monotonic() > until:
                    return
        finally:
            feed.watchers -= 1
            self.watchers -= 1
            if not feed.watchers:
                feed.close()
                if self._feeds[subject] is feed:
                    del self._feeds[subject]

    def _feed(self, subject: str, draw: Draw) -> _Feed:
        """A new one in place of one that is over, which somebody slow may hold on to for long."""
        feed = self._feeds.get(subject)
        if feed is None or feed.over:
            feed = self._feeds[subject] = _Feed(draw, self._ended)
        return feed


class _Feed:
    """One subject, drawn again and again by a task of its own."""

    def __init__(self, draw: Draw, ended: Callable[[], bool]) -> None:
        self.watchers = 0
        self.over = False
        self._draw = draw
        self._ended = ended
        self._newest = b""
        self._changed = asyncio.Event()
        self._task = asyncio.create_task(self._draw_on())

    async def pictures(self, seen: bytes) -> AsyncIterator[bytes]:
        """Each newest picture once, b"" where there is none for a while, until the feed is over."""
        while not self.over:
            changed = self._changed
            if self._newest in (seen, b""):
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), BEAT_SECONDS)
            fresh = self._newest not in (seen, b"")
            seen = self._newest if fresh else seen
            yield self._newest if fresh else b""

    def close(self) -> None:
        self._task.cancel()

    async def _draw_on(self) -> None:
        try:
            with suppress(Exception):  # whoever asks again is told
                while not self._ended():
                    began = time.perf_counter()
                    self._newest = self._draw()
                    cost = time.perf_counter() - began
                    self._wake()
                    await asyncio.sleep(min(max(EVERY_SECONDS, cost / SHARE), LONGEST_SECONDS))
        finally:
            self.over = True
            self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def event(picture: bytes) -> bytes:
    """One server-sent event; the picture is JSON in one line."""
    return b"data: %b\n\n" % picture
