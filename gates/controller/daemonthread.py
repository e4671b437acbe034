"""One thread for calls that block: they run in order, and none of them can hold up the event loop or the exit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class DaemonThread(Executor):
    """An executor of one daemon thread.

    `ThreadPoolExecutor` is joined when the interpreter exits, so that a registry or a database that does not answer
    would keep a process that was told to stop alive for as long as it pleases."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name=name, daemon=True)

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        if self._thread.ident is None:
            self._thread.start()
        future: Future[T] = Future()
        self._calls.put(lambda: _fulfil(future, lambda: function(*args, **kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the calls that wait run, then end; `cancel_futures` is not needed by anyone, and ignored."""
        self._calls.put(None)
        if wait and self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


async def in_thread(thread: DaemonThread, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """The call's result, awaited. Cancelling gives up the wait, and the call too if it has not begun."""
    return await asyncio.wrap_future(thread.submit(function, *args, **kwargs))


def _fulfil(future: Future[T], call: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    with suppress(RuntimeError):  # the loop that asked is closed by now
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)
