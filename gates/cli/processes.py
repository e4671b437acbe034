"""The commands that run processes: serve, control, proxy, demo."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn
from urllib.parse import urlsplit

import typer

from gates.cli.configuration import load
from gates.cli.options import CONFIG, CONTROL, Config, Control
from gates.exits import Exit, Failure
from gates.processes.interpreter import command

if TYPE_CHECKING:
    from gates.settings import Settings

SNAPSHOT = "penstock.snapshot.json"
# Each worker fills a core; beyond a few of them the models behind are what is slow.
MOST_WORKERS = 4

Workers = Annotated[int, typer.Option(min=1, metavar="N", help="How many worker processes share the data port.")]


def register(app: typer.Typer) -> None:
    for function in (serve, control, proxy, demo):
        app.command()(function)


def serve(
    config: Config = CONFIG,
    workers: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", show_default=f"one for each core, {MOST_WORKERS} at most", help="How many."),
    ] = None,
    state_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", show_default="beside an SQLite store, else here", help="For the last snapshot."),
    ] = None,
) -> NoReturn:
    """Run the control plane and the proxy, and keep them alive.

    One control process, and workers that share the data port. The configuration is checked before anything starts.
    Ctrl-C or SIGTERM lets the workers finish their requests; a second Ctrl-C cuts that short.

    \b
      penstock serve --config config/penstock.yaml --workers 2
    """
    settings = load(config)
    _require_guarded(settings)
    cache = snapshot_cache(settings.store, state_dir)
    _become(
        "gates.processes.supervisor",
        *("--config", str(config), "--listen", str(settings.listen), "--control-listen", str(settings.control)),
        *("--workers", str(workers or min(os.cpu_count() or 1, MOST_WORKERS)), "--cache", str(cache)),
        *("--", *(_tls(*settings.tls.files) if settings.tls else ()), *_trusting(settings.trusted_peers)),
    )


def control(
    config: Config = CONFIG,
    listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="In place of the configuration's `control`.")
    ] = None,
    fd: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run the control plane alone; the workers run elsewhere.

    \b
      penstock control --config /etc/penstock/penstock.yaml --listen 0.0.0.0:9080
    """
    settings = load(config)
    from gates import app
    from gates.processes.listening import listen as bind

    app.serve(settings, fd=bind(listen).detach() if listen else fd)


def proxy(
    control: Control = CONTROL,
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="The data port.")] = "127.0.0.1:8080",
    workers: Workers = 1,
    cache: Annotated[
        Path, typer.Option(metavar="FILE", help="Keeps the last good snapshot, to start from without a control plane.")
    ] = Path(SNAPSHOT),
    tls_certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="PEM, with its chain: the data port speaks TLS.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The certificate's key, where it is not in the same file.")
    ] = None,
    tls_client_ca: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Serve only clients whose certificate is of these authorities.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Holds the token that the control plane asks for.")
    ] = None,
    trusted_peer: Annotated[
        list[str] | None,
        typer.Option(metavar="NETWORK", help="Whose x-forwarded-* is believed, such as 10.0.0.0/8; may be repeated."),
    ] = None,
) -> NoReturn:
    """Run the proxy alone; its control plane runs elsewhere.

    Where that asks for tokens, it is shown that of a service_account: from --token-file, PENSTOCK_WORKERS_TOKEN or
    PENSTOCK_TOKEN. TLS files are taken up anew when they change; connections that are there go on.

    \b
      penstock proxy --control http://penstock-control:9080 --listen 0.0.0.0:8080
      penstock proxy --listen 0.0.0.0:8443 --tls-certificate tls.crt --tls-key tls.key
    """
    from proxy.snapshot import Origin

    try:
        Origin.parse(control)
    except ValueError as error:
        raise Failure(f"--control: {error}", Exit.USAGE) from None
    if (tls_key or tls_client_ca) and tls_certificate is None:
        raise Failure("--tls-key and --tls-client-ca need --tls-certificate", Exit.USAGE)
    options = [*_tls(tls_certificate, tls_key, tls_client_ca), *_trusting(trusted_peer or ())]
    options += ["--token-file", str(token_file)] if token_file else []
    if workers > 1:
        many = ("--listen", listen, "--workers", str(workers))
        _become("gates.processes.supervisor", "--control", control, *many, "--cache", str(cache), "--", *options)
    from gates.processes.listening import listen as bind

    fd = bind(listen).detach()
    os.set_inheritable(fd, True)
    _become("proxy", "--control", control, "--fd", str(fd), "--cache", str(cache), *options)


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave all running, clients included, to look around.")] = False,
    directory: Annotated[
        Path | None, typer.Option(metavar="DIR", show_default="penstock-demo", help="For its files; made afresh.")
    ] = None,
    summary: Annotated[Path, typer.Option(metavar="FILE", help="What happened, as JSON.")] = Path("demo-summary.json"),
) -> int:
    """See it all here: one candidate promoted, one rolled back.

    Models are trained and served, traffic is sent, and the gates decide. Everything runs on this machine and ends by
    itself.

    \b
      penstock demo --keep
    """
    from gates.demo.run import run

    return run(keep=keep, directory=directory, summary=summary)


def _require_guarded(settings: Settings) -> None:
    """Told before anything is started. Raises Failure."""
    from gates.processes.listening import is_loopback
    from gates.settings.access import OPEN_PORT

    if not settings.access.required and not is_loopback(settings.control.host):
        raise Failure(f"{settings.place(('control',))}: {OPEN_PORT}", Exit.CONFIGURATION)


def snapshot_cache(store: str, state_dir: Path | None) -> Path:
    """Where the workers keep their last snapshot."""
    url = urlsplit(store)
    database = url.path.removeprefix("/")
    if state_dir is not None:
        folder, name = state_dir, SNAPSHOT
    elif url.scheme == "sqlite" and database != ":memory:":
        folder, name = Path(database).parent, f"{Path(database).stem}.snapshot.json"
    else:
        folder, name = Path(), SNAPSHOT
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        text = f"cannot make {folder}: {error.strerror}: name another folder with --state-dir"
        raise Failure(text, Exit.UNAVAILABLE) from None
    return folder / name


def _tls(certificate: Path | None, key: Path | None, client_ca: Path | None) -> list[str]:
    """The options by which a worker's data port speaks TLS."""
    options = {"--tls-certificate": certificate, "--tls-key": key, "--tls-client-ca": client_ca}
    return [part for option, file in options.items() if file for part in (option, str(file))]


def _trusting(networks: Sequence[str]) -> list[str]:
    return [part for network in networks for part in ("--trusted-peer", network)]


def _become(module: str, *arguments: str) -> NoReturn:
    """Go on as another program, in the same process: what the command line has loaded is not carried along."""
    sys.stdout.flush()
    sys.stderr.flush()
    program = command(module, *arguments)
    os.execv(program[0], program)
