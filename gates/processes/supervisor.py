"""Keeps processes alive: the control process and the workers that share one listening socket, or the workers alone.

Standard library only, and little of it: this process has nothing to do but to be there.
"""

from __future__ import annotations

import argparse
import logging
import os
import secrets
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

from gates.exits import Exit, Failure
from gates.processes.child import Child, Service, describe
from gates.processes.hangup import Terminal
from gates.processes.interpreter import command
from gates.processes.listening import listen, url_of
from proxy import logs

logger = logging.getLogger("penstock.supervisor")

_LINES_SHOWN = 12
# A terminal and a wrapper may both deliver one Ctrl-C; what comes later than this is a second one. In seconds.
_SECOND_THOUGHT = 0.5


@dataclass(frozen=True, slots=True)
class Patience:
    """How a child that dies is replaced. Times in seconds; `settled` is the age at which past deaths are forgotten."""

    pause: float = 0.5
    longest_pause: float = 30.0
    settled: float = 10.0
    report_after: int = 3
    give_up_after: int = 6

    def before_try(self, deaths: int) -> float:
        """The pause after so many deaths in a row: none after the first, then doubling up to the longest."""
        return min(self.pause * 2.0 ** min(deaths - 2, 32), self.longest_pause) if deaths > 1 else 0.0


class Supervisor:
    """Starts the groups of services in their order, keeps them alive, and stops them in the opposite order, each group
    as a whole."""

    def __init__(
        self,
        groups: Sequence[Sequence[Service]],
        patience: Patience | None = None,
        listeners: Sequence[socket.socket] = (),
    ) -> None:
        """`listeners` are closed first of all when stopping: a port that only we hold open would take in clients whom
        nobody serves."""
        self._listeners = listeners
        self._groups = [[Child(service) for service in group] for group in groups]
        self._children = [child for group in self._groups for child in group]
        self._patience = patience or Patience()
        self._selector = selectors.DefaultSelector()
        self._stopping = False
        self._asked = 0.0
        self._hurried = False
        self._hangups = 0
        self._terminal = Terminal()
        self._exit = Exit.GO

    def run(self) -> Exit:
        """Until SIGTERM or SIGINT, until its terminal is closed, or until a vital service cannot be brought up."""
        with self._selector, self._signals():
            while not self._stopping:
                self._wait(self._start_due())
                self._pass_hangup()
            for listener in self._listeners:
                listener.close()
            for group in reversed(self._groups):
                self._stop(group)
        return self._exit

    # signals

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Each signal wakes the selector by a byte; what it means is noted by its handler."""
        woken, waker = socket.socketpair()
        woken.setblocking(False)
        waker.setblocking(False)
        before = {number: signal.signal(number, self._on_stop) for number in (signal.SIGTERM, signal.SIGINT)}
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
            before[signal.SIGHUP] = signal.signal(signal.SIGHUP, self._on_hangup)
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, _on_death)
        waker_before = signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        self._selector.register(woken, selectors.EVENT_READ)
        try:
            yield
        finally:
            signal.set_wakeup_fd(waker_before)
            for number, handler in before.items():
                signal.signal(number, handler)
            woken.close()
            waker.close()

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self._stopping:
            self._asked = now
        elif number == signal.SIGINT and now - self._asked > _SECOND_THOUGHT:
            self._hurried = True
        self._stopping = True

    def _on_hangup(self, number: int, frame: FrameType | None) -> None:
        if self._terminal.closed:
            self._on_stop(number, frame)
        else:
            self._hangups += 1

    def _pass_hangup(self) -> None:
        """A service that is not up reads its configuration when it starts."""
        while self._hangups:
            self._hangups -= 1
            for child in self._children:
                if child.service.reloads:
                    child.signal(signal.SIGHUP)

    # the children's lives

    def _start_due(self) -> float | None:
        """Start all that is due; returns the seconds until the next is, None where all are running."""
        now = time.monotonic()
        absent = [child for child in self._children if child.process is None]
        for child in absent:
            if child.due <= now:
                self._start(child, now)
        pauses = [child.due - now for child in absent if child.process is None]
        return max(min(pauses), 0.0) if pauses else None

    def _start(self, child: Child, now: float) -> None:
        try:
            child.start(now)
        except (OSError, subprocess.SubprocessError) as error:
            self._bury(child, f"{child} could not be started: {error}")
        else:
            self._selector.register(child, selectors.EVENT_READ)
            logger.info("%s started", child)

    def _wait(self, timeout: float | None) -> None:
        """For output, deaths and signals, and take note of each."""
        for key, _ in self._selector.select(timeout):
            if isinstance(key.fileobj, Child):
                self._pass_on(key.fileobj)
            elif isinstance(key.fileobj, socket.socket):
                key.fileobj.recv(4096)
        for child in self._children:
            if child.process is not None and (status := child.process.poll()) is not None:
                self._ended(child, status)

    def _pass_on(self, child: Child) -> bool:
        """One piece of the child's output, to our own; False where there is no more now."""
        data = child.read()
        if data:
            with suppress(OSError):  # nobody listens to us any more: no reason to stop serving
                sys.stderr.buffer.write(data)
                sys.stderr.flush()
        elif data is not None:
            self._selector.unregister(child)
        return bool(data)

    def _ended(self, child: Child, status: int) -> None:
        while child in self._selector.get_map() and self._pass_on(child):
            pass
        if child in self._selector.get_map():  # held open by a process that it has left behind
            self._selector.unregister(child)
        epitaph = f"{child} {describe(status)} after {time.monotonic() - child.started:.1f} s"
        if status == Exit.CONFIGURATION and child.service.vital and not child.came_up and not self._stopping:
            child.bury(time.monotonic(), self._patience.settled)
            logger.error("%s; what it said of its settings stands above: giving up", epitaph)
            self._exit = Exit.CONFIGURATION
            self._stopping = True
        else:
            self._bury(child, epitaph)

    def _bury(self, child: Child, epitaph: str) -> None:
        """Forget the process, and settle when the next one starts."""
        now = time.monotonic()
        child.bury(now, self._patience.settled)
        if self._stopping:
            logger.info("%s", epitaph)
            return
        if child.service.vital and not child.came_up and child.deaths >= self._patience.give_up_after:
            logger.error("%s; it has not come up in %d tries: giving up", epitaph, child.deaths)
            self._exit = Exit.UNAVAILABLE
            self._stopping = True
            return
        pause = self._patience.before_try(child.deaths)
        child.due = now + pause
        logger.warning("%s; starting it again %s", epitaph, f"in {pause:g} s" if pause else "now")
        if child.deaths == self._patience.report_after:
            self._report(child)

    def _report(self, child: Child) -> None:
        lines = child.last_words.decode(errors="replace").splitlines()[-_LINES_SHOWN:]
        said = "".join(f"\n    {line}" for line in lines) or " nothing"
        logger.error("%s has ended %d times in a row without settling. Its last words:%s", child, child.deaths, said)

    def _stop(self, group: Sequence[Child]) -> None:
        """SIGTERM to the group, and SIGKILL to who is there after the grace, or after a SIGINT that hurries."""
        alive = [child for child in group if child.process is not None]
        if not alive:
            return
        grace = max(child.service.grace for child in alive)
        logger.info("stopping %s, within %g s; Ctrl-C again cuts it short", ", ".join(map(str, alive)), grace)
        for child in alive:
            child.signal(signal.SIGTERM)
        deadline = time.monotonic() + grace
        while alive := [child for child in alive if child.process is not None]:
            left = deadline - time.monotonic()
            if self._hurried or left <= 0:
                for child in alive:
                    child.signal(signal.SIGKILL)
                self._hurried, left = False, grace
                deadline = time.monotonic() + grace
            self._wait(left)


def _on_death(number: int, frame: FrameType | None) -> None:
    """A handler must be there for the signal to wake the selector."""


def main(arguments: Sequence[str] | None = None) -> Exit:
    """Bind the sockets, and keep alive the workers and, given a configuration, the control process."""
    parser = _Parser(prog="python -m gates.processes.supervisor", allow_abbrev=False)
    parser.add_argument("--listen", required=True, metavar="HOST:PORT", help="the data port, shared by all workers")
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--cache", metavar="FILE", help="where the workers keep their last good snapshot")
    plane = parser.add_mutually_exclusive_group(required=True)
    plane.add_argument("--control", metavar="URL", help="a control plane that runs elsewhere")
    plane.add_argument("--config", metavar="FILE", help="run a control process too, by this configuration")
    parser.add_argument("--control-listen", metavar="HOST:PORT", help="its port")
    parser.add_argument("options", nargs="*", metavar="-- OPTIONS", help="of the workers, passed on as they are")
    options = parser.parse_args(arguments)
    logs.configure()
    try:
        data = listen(options.listen)
        control = listen(options.control_listen) if options.config else None
    except Failure as error:
        print(f"penstock: {error}", file=sys.stderr)
        return error.exit
    if control:
        # What the workers show the control plane, where that asks for tokens. Both find it in their environment.
        os.environ.setdefault("PENSTOCK_WORKERS_TOKEN", secrets.token_urlsafe(32))
    url = url_of(control) if control else options.control
    scheme = "https" if "--tls-certificate" in options.options else "http"
    logger.info("data port %s, control plane %s", url_of(data, scheme), url)
    workers = _workers(data, options.workers, url, options.cache, options.options)
    groups = [[_control(control, options.config)], workers] if control else [workers]
    return Supervisor(groups, listeners=[data, control] if control else [data]).run()


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """argparse would exit with 2, which is a verdict's."""
        self.exit(Exit.USAGE, f"{self.prog}: {message}\n")


def _control(listener: socket.socket, config: str) -> Service:
    fd = listener.fileno()
    program = command("gates", "control", "--config", config, "--fd", str(fd))
    return Service("control", program, (fd,), grace=15.0, reloads=True)


def _workers(
    listener: socket.socket, number: int, control: str, cache: str | None, options: Sequence[str]
) -> list[Service]:
    fd = listener.fileno()
    kept = ("--cache", cache) if cache else ()
    worker = command("proxy", "--control", control, "--fd", str(fd), *kept, *options)
    return [Service(f"worker {nth}", worker, (fd,), vital=True) for nth in range(1, number + 1)]


if __name__ == "__main__":
    sys.exit(main())
