"""`penstock demo`: train, serve, send traffic, run two rollouts, show them live, and prove what came of them."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gates.adapters.modelserver import ModelServerError
from gates.client import ControlClient, ControlFailed
from gates.demo.proof import LEAST_REQUESTS, Claim, account, claims
from gates.demo.scene import MODEL, Scene, SceneError, staged
from gates.demo.traffic import Tally, Traffic
from gates.demo.trial import Outcome, TrialError, trial
from gates.status import ModelStatus
from gates.terminal import model_view

DIRECTORY = Path("penstock-demo")
FAILED = 3
INTERRUPTED = 130


def run(*, keep: bool, directory: Path | None, summary: Path) -> int:
    """The exit status: 0 only if every claim of the demo holds, 3 where one does not or a part did not come up.

    `directory` (made afresh) holds everything that the demo writes, and stays: stores, logs, configuration. With `keep`
    all goes on running, addresses printed, until Ctrl-C, which then is no interruption."""
    console = Console()
    for sign in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C: what was started is stopped
        signal.signal(sign, signal.default_int_handler)
    try:
        return _run(console, keep, _fresh(directory or DIRECTORY), summary)
    except KeyboardInterrupt:
        console.print("\nstopped; nothing is left running")
        return INTERRUPTED
    except (ModelServerError, SceneError, TrialError, ControlFailed) as error:
        console.print(Text(f"the demo failed: {error}", style="bold red"))
        return FAILED


def _fresh(directory: Path) -> Path:
    """An empty directory; only one that a demo made before is cleared."""
    if directory.exists() and any(directory.iterdir()):
        if not (directory / "penstock.yaml").exists() and not (directory / "mlflow.db").exists():
            raise SceneError(f"{directory} is not empty and not a demo's: name another with --directory")
        shutil.rmtree(directory)
    (directory / "logs").mkdir(parents=True, exist_ok=True)
    return directory.absolute()


def _run(console: Console, keep: bool, directory: Path, summary: Path) -> int:
    console.print("Two rollouts on real models: a better candidate, and one that only looks better offline.\n")
    with _progress(console) as progress, staged(directory, progress) as scene:
        progress("")
        _introduce(console, scene)
        with ControlClient(scene.control) as client, Traffic(scene.invocations, scene.versions) as traffic:
            good = _shown(console, client, scene.versions.candidate, "the better candidate", traffic.tally)
            bad = _shown(console, client, scene.versions.defective, "the defective candidate", traffic.tally)
            _send_the_rest(traffic.tally)
        told = account(scene, traffic.tally, good, bad)
        checked = claims(scene, told)
        told["claims"] = {claim.says: claim.holds for claim in checked}
        summary.write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n")
        _conclude(console, told, checked, summary)
        if keep:
            _keep(console, scene)
    return 0 if all(claim.holds for claim in checked) else FAILED


@contextmanager
def _progress(console: Console) -> Iterator[Any]:
    """A callable that says what is going on, with the seconds it took once the next thing begins."""
    status = console.status("")
    said: list[tuple[str, float]] = []

    def progress(text: str) -> None:
        if said and said[-1][0]:
            console.print(Text(f"  {said[-1][0]}  {time.monotonic() - said[-1][1]:.1f} s", style="dim"))
        said.append((text, time.monotonic()))
        status.update(text)
        (status.start if text else status.stop)()

    try:
        yield progress
    finally:
        status.stop()


def _introduce(console: Console, scene: Scene) -> None:
    versions = scene.versions
    table = Table(
        "version", "accuracy", "roc_auc", "log_loss", "server", title=f"{MODEL} in MLflow", title_justify="left"
    )
    roles = {versions.champion: "champion", versions.candidate: "better", versions.defective: "defective"}
    for number, role in roles.items():
        figures = versions.metrics[number]
        values = [f"{figures[name]:.4f}" for name in ("accuracy", "roc_auc", "log_loss")]
        table.add_row(f"{number} {role}", *values, scene.servers[number])
    console.print(table)
    console.print(f"proxy {scene.proxy}   control {scene.control}   files {scene.directory}")
    console.print(Text.assemble("watch it in a browser: ", (f"{scene.control}/#{MODEL}", "bold"), "\n"), soft_wrap=True)


def _shown(console: Console, client: ControlClient, candidate: str, name: str, tally: Tally) -> Outcome:
    """Run one rollout with its status on the screen; the last status stays there."""
    console.rule(f"rollout of version {candidate}, {name}", align="left")
    with Live(console=console, refresh_per_second=4, transient=False) as live:
        outcome = trial(client, MODEL, candidate, lambda status: live.update(_view(status, tally)))
    console.print()
    return outcome


def _view(status: ModelStatus, tally: Tally) -> RenderableType:
    return Group(model_view(status), _clients(tally))


def _clients(tally: Tally) -> Text:
    style = "red" if tally.failures else "green"
    by_version = ", ".join(f"version {number} {count:,}" for number, count in sorted(tally.by_version.items()))
    return Text.assemble(
        f" clients: {tally.requests:,} requests, ", (f"{tally.failures} failures", style), f"   {by_version}"
    )


def _send_the_rest(tally: Tally) -> None:
    """A fast machine may be through before enough requests were sent to speak of."""
    while tally.requests < LEAST_REQUESTS:
        time.sleep(0.1)


def _conclude(console: Console, told: dict[str, Any], checked: list[Claim], summary: Path) -> None:
    table = Table("rollout", "ended", "by", "seconds", "requests it served to clients", title="What happened")
    for name in ("good", "bad"):
        rollout = told[name]
        by = f"gate {rollout['gate']}" if rollout["gate"] else "plan"
        served = f"{rollout['candidate_requests_served_to_clients']:,}"
        table.add_row(f"version {rollout['candidate']}", rollout["phase"], by, f"{rollout['seconds']:.0f}", served)
    console.print(table)
    console.print(f"clients sent {told['client_requests']:,} requests and saw {told['client_failures']} failures\n")
    for claim in checked:
        console.print(Text.assemble(("✔ ", "green") if claim.holds else ("✘ ", "bold red"), claim.says))
    if told["last_failure"]:
        console.print(Text(f"the last failure: {told['last_failure']}", style="red"))
    console.print(f"\nwritten to {summary}; look at the registry with")
    console.print(Text(f"  mlflow ui --backend-store-uri {told['mlflow']}", style="bold"), soft_wrap=True)


def _keep(console: Console, scene: Scene) -> None:
    """Leave everything up, and clients sending, until Ctrl-C."""
    console.print("\nall is kept running, clients go on sending; Ctrl-C stops it")
    for name, address in {"proxy": scene.invocations, "dashboard": scene.control, **scene.servers}.items():
        console.print(f"  {name:>9}  {address}")
    console.print(Text(f"  penstock status --watch --control {scene.control}", style="bold"), soft_wrap=True)
    with suppress(KeyboardInterrupt), Traffic(scene.invocations, scene.versions):
        while True:
            time.sleep(1)
