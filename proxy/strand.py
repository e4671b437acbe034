"""Work that goes on in the very call that brings what it waits for.

A task of asyncio's waits for the loop's next turn at its start and after everything that it waited for; a request
would pay for several turns. A strand starts at once and takes none. It may await a `Signal`, any future and whatever is
built of them; what asks for the current task (`asyncio.timeout`, say) belongs in a task, which a strand may await.

Nothing that runs as a strand awaits within an `except`, and no `except` lets one go on: compiled, a coroutine that
rests there leaves its exception to all who run after it, as the context of every error to come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from typing import Any, Protocol


class Awaited(Protocol):
    """What a coroutine gives to who runs it, to be called back by: a `Signal` or a future."""

    _asyncio_future_blocking: bool

    def add_done_callback(self, callback: Callable[[Any], object], /) -> None: ...

    def remove_done_callback(self, callback: Callable[[Any], object], /) -> int: ...


class Signal:
    """A moment to wait for, once, by one waiter. A strand goes on within `fire`; a task, in the loop's next turn.

    To a task it is a future: one that `asyncio.isfuture` knows by `_asyncio_future_blocking`."""

    __slots__ = ("_asyncio_future_blocking", "_callback", "_cancelled", "_context", "_loop", "fired", "strand")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._asyncio_future_blocking = False
        self._loop = loop
        self._callback: Callable[[Any], object] | None = None
        self._context: Context | None = None
        self._cancelled = False
        self.fired = False
        self.strand: Strand | None = None
        """The waiter, where it is a strand."""

    def __await__(self) -> Generator[Signal, None, None]:
        if not self.fired:
            self._asyncio_future_blocking = True
            yield self
        self.result()

    def fire(self) -> None:
        """Let whoever waits go on; nobody has to wait yet."""
        self.fired = True
        strand, self.strand = self.strand, None
        callback, self._callback = self._callback, None
        if strand is not None:
            strand.go_on()
        elif callback is not None:
            self._loop.call_soon(callback, self, context=self._context)

    # what a future has for its task

    def add_done_callback(self, callback: Callable[[Any], object], /, *, context: Context | None = None) -> None:
        self._callback = callback
        self._context = context

    def remove_done_callback(self, callback: Callable[[Any], object], /) -> int:
        removed = self._callback is not None
        self._callback = None
        return int(removed)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def cancel(self, msg: object = None) -> bool:
        """End the wait of a task that is cancelled."""
        if self.fired:
            return False
        self._cancelled = True
        self.fire()
        return True

    def result(self) -> None:
        if self._cancelled:
            raise asyncio.CancelledError


class Strand:
    """One run of a coroutine, which has to see to its own exceptions, as nobody else does. `ended` is called with the
    strand when it is over."""

    __slots__ = ("_awaited", "_coroutine", "_ended")

    def __init__(self, coroutine: Coroutine[Any, None, None], ended: Callable[[Strand], object]) -> None:
        self._coroutine = coroutine
        self._ended = ended
        self._awaited: Awaited | None = None

    def go_on(self) -> None:
        """Run to the next wait, or to the end."""
        self._advance(None)

    def cancel(self) -> None:
        """Raise asyncio.CancelledError in the coroutine, where it waits; nothing where it is over."""
        awaited = self._awaited
        if awaited is None:
            return
        if isinstance(awaited, Signal):
            awaited.strand = None
        else:
            awaited.remove_done_callback(self._done)
        self._advance(asyncio.CancelledError())

    def _done(self, awaited: Awaited) -> None:
        """A future tells of its end in a later turn of the loop, by when it may not be waited for any more."""
        if awaited is self._awaited:
            self._advance(None)

    def _advance(self, thrown: asyncio.CancelledError | None) -> None:
        self._awaited = None
        try:
            awaited = self._coroutine.send(None) if thrown is None else self._coroutine.throw(thrown)
        except (StopIteration, asyncio.CancelledError):
            self._ended(self)
        except BaseException:
            self._ended(self)
            raise
        else:
            self._await(awaited)

    def _await(self, awaited: Awaited) -> None:
        self._awaited = awaited
        awaited._asyncio_future_blocking = False
        if isinstance(awaited, Signal):  # the common case, without a bound method
            awaited.strand = self
        else:
            awaited.add_done_callback(self._done)
