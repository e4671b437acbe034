"""The control process: it builds the parts, runs them under uvicorn, and takes them down in order."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import socket
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from uuid import uuid4

import uvicorn
import uvloop
from starlette.applications import Starlette

from gates.adapters import folderwatch, pins
from gates.adapters.alertlog import SqlAlertLog
from gates.adapters.clock import SystemClock
from gates.adapters.mlflow import MlflowRegistry
from gates.adapters.notify import AppriseNotifier
from gates.adapters.outcomes import SqlOutcomes
from gates.adapters.prometheus import Prometheus
from gates.adapters.store import SqlStore
from gates.adapters.versions import MlflowVersions
from gates.alerting import LOOK_EVERY, Alerting, conditions
from gates.api import create_app
from gates.api.guard import Guard, Sessions
from gates.authentication import Authenticator
from gates.controller import overview
from gates.controller.controller import Controller
from gates.controller.daemonthread import DaemonThread
from gates.controller.errands import Errands
from gates.controller.lease import LEASE_EVERY
from gates.controller.routes import Unroutable
from gates.exits import Exit, Failure
from gates.ports import StoreError, Unusable
from gates.processes.hangup import Terminal
from gates.processes.listening import is_loopback, listen
from gates.reload import Reloader, Unsound
from gates.settings import MlflowSettings, Settings
from gates.state import Serving
from proxy import logs

logger = logging.getLogger("penstock.control")

ROWS_RECALLED = 200
RESTART_AFTER = 1.0
"""Seconds between two tries of the start, and between a loop's failure and its next life."""


@dataclass(frozen=True, slots=True)
class Control:
    """All parts of the control process."""

    store: SqlStore
    controller: Controller
    errands: Errands | None
    reloader: Reloader
    alerting: Alerting
    app: Starlette


def build(settings: Settings, reachable: bool = False) -> Control:
    """Put the control plane together; nothing is opened before it runs. `reachable` tells whether the control port can
    be reached from other machines.

    Raises StoreError for an impossible URL, and Unusable."""
    name = f"{socket.gethostname()} (pid {os.getpid()}, {uuid4().hex[:8]})"
    store, clock = SqlStore(settings.store, name), SystemClock()
    registry = None if settings.mlflow is None else _registry(settings.mlflow)
    outcomes = SqlOutcomes(settings.store)
    versions = None if settings.mlflow is None else _versions(settings.mlflow)
    controller = Controller(settings, store, clock, lambda: uuid4().hex, registry, outcomes, versions, Prometheus)
    errands = None
    if registry is not None:
        errands = Errands(
            store,
            store,
            controller.store_calls,
            registry,
            controller.registry_calls,
            clock,
            lambda: overview.figures(controller.observer),
            controller.errand_stored,
            versions,
        )
    if settings.model_versions is not None:
        controller.on_pins_moved(_pinning(settings.model_versions))
    authenticator = Authenticator(settings.access, os.environ, clock, reachable)
    alert_log = SqlAlertLog(settings.store)
    alerting = Alerting(settings.alerts, lambda asked: AppriseNotifier(asked, os.environ), clock, alert_log)
    controller.on_record(alerting.on_record)
    reloader = Reloader(controller, settings, clock, folderwatch.changes, (authenticator, alerting))
    guard = Guard(authenticator, Sessions(clock.wall, lambda: secrets.token_urlsafe(32)))
    app = create_app(controller, errands, reloader, guard, alerting)
    return Control(store, controller, errands, reloader, alerting, app)


def _pinning(path: Path) -> Callable[[Iterable[Serving]], object]:
    """In a thread of its own: a folder may be on a disk that does not answer."""
    calls = DaemonThread("pins")
    return lambda servings: calls.submit(pins.write, path, tuple(servings))


def _versions(mlflow: MlflowSettings) -> MlflowVersions:
    return MlflowVersions(mlflow.tracking_uri, mlflow.registry_uri)


def _registry(mlflow: MlflowSettings) -> MlflowRegistry:
    return MlflowRegistry(mlflow.tracking_uri, mlflow.registry_uri, mlflow.experiment)


def serve(settings: Settings, *, fd: int | None = None) -> None:
    """Serve the control port until SIGTERM or SIGINT: `settings.control`, or the inherited listening socket `fd`.

    Raises Failure where the configuration cannot be served, and CannotListen."""
    logs.configure()
    listener = listen(str(settings.control)) if fd is None else socket.socket(fileno=fd)
    try:
        uvloop.run(run(build(settings, not is_loopback(listener.getsockname()[0])), listener))
    except (Unusable, Unroutable) as error:
        raise Failure(f"{settings.place(error.key)}: {error}", Exit.CONFIGURATION) from None
    except StoreError as error:
        raise Failure(str(error), Exit.CONFIGURATION) from None


async def run(control: Control, listener: socket.socket) -> None:
    """The control plane's whole life, on a running loop. Raises Unroutable."""
    config = uvicorn.Config(
        control.app,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    server = _Server(config, control.controller.release)
    loops = asyncio.create_task(_drive(control))
    loops.add_done_callback(lambda _: setattr(server, "should_exit", True))
    reloads = _begun("the configuration's watch", control.reloader.run)
    looks = _begun("the look for alerts", lambda: _look_on(control))
    _reload_on_hangup(server, control.reloader)
    try:
        await server.serve(sockets=[listener])
    finally:
        reloads.cancel()
        looks.cancel()
        control.alerting.close()
        loops.cancel()
        try:
            with suppress(asyncio.CancelledError):
                await loops
        finally:
            await control.controller.stop()
            control.store.close()


async def _look_on(control: Control) -> None:
    """What holds for a while is looked at, for ever; only by the control plane that acts."""
    while True:
        await asyncio.sleep(LOOK_EVERY)
        if control.controller.started:
            trouble = "" if control.errands is None else control.errands.trouble
            control.alerting.look(conditions(control.controller.queries.status(), trouble))


def _reload_on_hangup(server: uvicorn.Server, reloader: Reloader) -> None:
    """SIGHUP reads the configuration again; but to a process whose terminal was closed, it is the end."""
    terminal, tasks = Terminal(), set[asyncio.Task[None]]()

    async def reload() -> None:
        with suppress(Unsound, StoreError):  # told in the log
            await reloader.reload("SIGHUP")

    def on_hangup() -> None:
        if terminal.closed:
            server.should_exit = True
            return
        tasks.add(task := asyncio.ensure_future(reload()))
        task.add_done_callback(tasks.discard)

    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, on_hangup)


async def _drive(control: Control) -> None:
    """Act whenever the store and the other control planes let this one, for ever. Raises Unroutable."""
    while True:
        await _take_over(control.controller)
        with suppress(StoreError):
            await control.alerting.recall(await control.controller.queries.events(None, ROWS_RECALLED))
        errands = None if control.errands is None else _begun("the errands' loop", control.errands.run)
        try:
            await _supervised("the controller's loop", control.controller.run)
        finally:
            if errands is not None:
                errands.cancel()


async def _take_over(controller: Controller) -> None:
    """Start, as soon as the lease is ours. Raises Unroutable."""
    while not controller.started:
        try:
            if await controller.lease.take():
                await controller.start()
            else:
                await asyncio.sleep(LEASE_EVERY)
        except StoreError:
            await asyncio.sleep(RESTART_AFTER)
    logger.info("control plane started at generation %d", controller.snapshot.generation)


def _begun(name: str, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
    return asyncio.create_task(_supervised(name, work))


async def _supervised(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """A loop that fails is told of and begun again: better a bug in the log than a rollout that nobody watches."""
    while True:
        try:
            return await work()
        except Exception:
            logger.exception("%s failed; it begins again in %g s", name, RESTART_AFTER)
            await asyncio.sleep(RESTART_AFTER)


class _Server(uvicorn.Server):
    """uvicorn's server, which lets the long polls go first when it is told to stop."""

    def __init__(self, config: uvicorn.Config, release: Callable[[], None]) -> None:
        super().__init__(config)
        self._release = release

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """uvicorn raises the signal once more when it has served, which would end the process before it is done."""
        super().handle_exit(sig, frame)
        self._captured_signals.clear()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._release()
        await super().shutdown(sockets)
