from __future__ import annotations

from pathlib import Path

import pytest

from proxy.settings import WorkerSettings, parse
from proxy.snapshot import Origin
from proxy.tls import ServerTls

CONTROL = ["--control", "http://127.0.0.1:9080"]


def test_a_worker_listens_at_an_address() -> None:
    settings = parse([*CONTROL, "--listen", "0.0.0.0:8080", "--cache", "/var/lib/penstock/snapshot.json"])
    assert settings == WorkerSettings(
        Origin("127.0.0.1", 9080), ("0.0.0.0", 8080), Path("/var/lib/penstock/snapshot.json")
    )


def test_a_worker_listens_on_an_inherited_socket() -> None:
    assert parse([*CONTROL, "--fd", "7"]) == WorkerSettings(Origin("127.0.0.1", 9080), 7)


def test_an_ipv6_address_stands_in_brackets() -> None:
    assert parse([*CONTROL, "--listen", "[::1]:8080"]).listen == ("::1", 8080)


def test_a_data_port_speaks_tls_by_its_files() -> None:
    tls = ["--tls-certificate", "a.crt", "--tls-key", "a.key", "--tls-client-ca", "ca.pem"]
    assert parse([*CONTROL, "--fd", "7", *tls]).tls == ServerTls("a.crt", "a.key", "ca.pem")
    assert parse([*CONTROL, "--fd", "7", *tls[:2]]).tls == ServerTls("a.crt")


def test_trusted_peers_are_networks() -> None:
    assert parse([*CONTROL, "--fd", "7", "--trusted-peer", "10.0.0.0/8", "--trusted-peer", "::1"]).trusted_peers == (
        "10.0.0.0/8",
        "::1",
    )


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        CONTROL,
        ["--listen", "127.0.0.1:8080"],
        [*CONTROL, "--listen", "127.0.0.1:8080", "--fd", "7"],
        [*CONTROL, "--listen", "8080"],
        [*CONTROL, "--listen", ":8080"],
        [*CONTROL, "--listen", "127.0.0.1:http"],
        [*CONTROL, "--listen", "127.0.0.1:65536"],
        [*CONTROL, "--fd", "2"],
        [*CONTROL, "--fd", "-1"],
        ["--control", "ftp://127.0.0.1", "--fd", "7"],
        [*CONTROL, "--fd", "7", "--tls-key", "a"],
        [*CONTROL, "--fd", "7", "--trusted-peer", "10.0.0.1/8"],
        [*CONTROL, "--fd", "7", "--tls-client-ca", "a"],
        ["--control", "127.0.0.1:9080", "--fd", "7"],
        [*CONTROL, "--fd", "7", "--workers", "2"],
    ],
    ids=" ".join,
)
def test_anything_else_is_a_usage_error_that_reads_as_no_verdict(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse(arguments)
    assert stopped.value.code == 3
    assert "python -m proxy: " in capsys.readouterr().err
