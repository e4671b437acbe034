"""One worker's static settings, from its command line. What may change while it runs comes in snapshots."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from proxy.peers import Peers
from proxy.snapshot import Origin
from proxy.tls import ServerTls


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Where the worker listens (an inherited socket's descriptor, or an address), and where its control plane is."""

    control: Origin
    listen: tuple[str, int] | int
    cache: Path | None = None
    tls: ServerTls | None = None
    trusted_peers: tuple[str, ...] = ()
    token_file: Path | None = None
    """Holds the token that the control plane asks for, where the environment does not."""

    def __post_init__(self) -> None:
        if isinstance(self.listen, int) and self.listen < 3:
            raise ValueError(f"fd {self.listen} is not an inherited socket")
        Peers(self.trusted_peers)


def parse(arguments: Sequence[str]) -> WorkerSettings:
    """Exits with a usage message, status 3, for anything that is not a lawful command line."""
    parser = _Parser(prog="python -m proxy", description="One data-plane worker of Penstock.")
    parser.add_argument("--control", required=True, type=Origin.parse, help="the control plane, http[s]://host:port")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--listen", type=_address, help="host:port to listen on")
    where.add_argument("--fd", type=int, help="descriptor of an inherited listening socket")
    parser.add_argument("--cache", type=Path, help="file that keeps the last good snapshot")
    parser.add_argument("--tls-certificate", metavar="FILE", help="PEM; with it, the data port speaks TLS")
    parser.add_argument("--tls-key", metavar="FILE", default="", help="its key, where it is not in the same file")
    parser.add_argument("--tls-client-ca", metavar="FILE", default="", help="serve only clients that these vouch for")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="the token that the control plane asks for")
    parser.add_argument(
        "--trusted-peer",
        metavar="NETWORK",
        action="append",
        default=[],
        help="whose x-forwarded-* fields are believed, such as 10.0.0.0/8; may be repeated",
    )
    given = parser.parse_args(arguments)
    if (given.tls_key or given.tls_client_ca) and not given.tls_certificate:
        parser.error("--tls-key and --tls-client-ca need --tls-certificate")
    try:
        tls = ServerTls(given.tls_certificate, given.tls_key, given.tls_client_ca) if given.tls_certificate else None
        return WorkerSettings(
            given.control,
            given.fd if given.fd is not None else given.listen,
            given.cache,
            tls,
            tuple(given.trusted_peer),
            given.token_file,
        )
    except ValueError as error:
        parser.error(str(error))


class _Parser(argparse.ArgumentParser):
    """argparse exits with 2, which is the NO-GO of a verdict; a usage error is not one."""

    def error(self, message: str) -> NoReturn:
        self.print_usage()
        self.exit(3, f"{self.prog}: {message}\n")


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r}: expected host:port")
    return host.strip("[]"), int(port)
