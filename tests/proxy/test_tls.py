"""TLS on the data port, with real handshakes: who is served, what is seen, and what a renewed certificate changes."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from uvicorn._types import ASGISendCallable

from proxy.limits import Limits
from proxy.snapshot import ModelRoute
from proxy.tls import TlsUnusable, server_context
from tests.proxy.faults import BOMB
from tests.servers import HANG, READ, Background, ModelServer, Scripted, Seen, eventually, reply
from tests.tls import Authority
from tests.wire import PATIENCE, Client, CutOff, request
from tests.workers import LocalWorker, target

SOON = Limits(head_seconds=2.0, body_seconds=2.0, linger_seconds=0.1)
PATIENT = Limits(linger_seconds=0.1, drain_seconds=300.0)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def secure(background: Background, champion: ModelServer, authority: Authority) -> Iterator[LocalWorker]:
    champion.seen.clear()
    route = ModelRoute("m", "/", target("40", champion), timeout=PATIENCE)
    with LocalWorker(background, route, limits=SOON, tls=server_context(authority.certificate())) as local:
        yield local


def serial(client: Client) -> object:
    assert isinstance(client.socket, ssl.SSLSocket)
    certificate = client.socket.getpeercert()
    assert certificate is not None
    return certificate["serialNumber"]


def test_requests_over_tls_are_answered_on_one_connection(
    secure: LocalWorker, authority: Authority, champion: ModelServer
) -> None:
    with Client(secure.port, tls=authority.client()) as client:
        assert [client.request("POST", "/a", (), b"{}").status for _ in range(3)] == [200] * 3
    assert {seen["x-forwarded-proto"] for seen in champion.seen} == {"https"}


def test_a_client_that_wants_another_name_or_authority_goes_away(secure: LocalWorker, authority: Authority) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        Client(secure.port, tls=ssl.create_default_context())
    with pytest.raises(ssl.SSLCertVerificationError, match="match"):
        Client(secure.port, tls=authority.client(), name="other.example")
    with Client(secure.port, tls=authority.client()) as client:
        assert client.request("GET", "/").status == 200


def test_a_large_body_comes_whole_both_ways(secure: LocalWorker, authority: Authority, champion: ModelServer) -> None:
    body = BOMB * 8

    async def echo(seen: Seen, send: ASGISendCallable) -> None:
        await reply(send, seen.body)

    champion.handler = echo
    with Client(secure.port, tls=authority.client()) as client:
        assert client.request("POST", "/", (), body).body == body


def test_a_cut_answer_never_looks_whole(background: Background, authority: Authority) -> None:
    started = b"HTTP/1.1 200 OK\r\n\r\n"  # as long as the connection: only its end could tell
    with Scripted(background, [READ, started + b"part", HANG]) as upstream:
        route = ModelRoute("m", "/", target("40", upstream), timeout=2.0)
        tls = server_context(authority.certificate())
        with LocalWorker(background, route, tls=tls) as local, Client(local.port, tls=authority.client()) as client:
            client.send(request("GET", "/", version="1.0"))
            with pytest.raises((CutOff, ssl.SSLError)):
                client.read()


def test_a_refusal_arrives_before_the_connection_ends(secure: LocalWorker, authority: Authority) -> None:
    with Client(secure.port, tls=authority.client()) as client:
        client.send(b"GET //evil HTTP/1.1\r\nhost: a\r\n\r\n" + b"x" * 100_000)
        assert client.read().status == 400
        assert client.ended()


def test_only_clients_with_a_certificate_of_the_authority_are_served(
    background: Background, champion: ModelServer, authority: Authority, tmp_path: Path
) -> None:
    ours = authority.certificate()
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other")
    tls = server_context(type(ours)(ours.certificate, ours.key, authority.ca()))
    route = ModelRoute("m", "/", target("40", champion))
    with LocalWorker(background, route, tls=tls) as local:
        for shown in (None, stranger.certificate()):
            with pytest.raises((OSError, CutOff)), Client(local.port, tls=authority.client(shown)) as client:
                client.request("GET", "/refused")
        with Client(local.port, tls=authority.client(authority.certificate("me", file="client"))) as client:
            assert client.request("GET", "/").status == 200
    assert not [seen for seen in champion.seen if seen.target == b"/refused"]


@pytest.mark.parametrize("name", ["127.0.0.1", None])
def test_a_renewed_certificate_is_shown_to_new_clients_and_old_ones_go_on(
    secure: LocalWorker, authority: Authority, name: str | None
) -> None:
    tls = authority.client()
    tls.check_hostname = name is not None
    with Client(secure.port, tls=tls, name=name) as before:
        authority.certificate()
        with Client(secure.port, tls=tls, name=name) as after:
            assert serial(after) != serial(before)
            assert after.request("GET", "/").status == 200
        assert before.request("GET", "/").status == 200


def test_a_certificate_whose_key_is_yet_to_come_changes_nothing(
    secure: LocalWorker, authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tls = authority.client()
    with Client(secure.port, tls=tls) as client:
        shown = serial(client)
    authority.certificate(file="next")
    (tmp_path / "server.crt").write_bytes((tmp_path / "next.crt").read_bytes())
    for _ in range(2):
        with Client(secure.port, tls=tls) as client:
            assert serial(client) == shown
    assert caplog.text.count("the last good ones stay") == 1
    (tmp_path / "server.key").write_bytes((tmp_path / "next.key").read_bytes())
    with Client(secure.port, tls=tls) as client:
        assert serial(client) != shown


def test_a_new_client_authority_is_the_only_one_from_then_on(
    background: Background, champion: ModelServer, authority: Authority, tmp_path: Path
) -> None:
    ours = authority.certificate()
    (tmp_path / "next").mkdir()
    following = Authority(tmp_path / "next")
    old, new = authority.certificate("me", file="client"), following.certificate("me", file="client")
    tls = server_context(type(ours)(ours.certificate, ours.key, authority.ca("clients.pem")))
    with LocalWorker(background, ModelRoute("m", "/", target("40", champion)), tls=tls) as local:
        with Client(local.port, tls=authority.client(old)) as client:
            assert client.request("GET", "/").status == 200
        Path(following.ca()).replace(tmp_path / "clients.pem")
        with Client(local.port, tls=authority.client(new)) as client:
            assert client.request("GET", "/").status == 200
        with pytest.raises((OSError, CutOff)), Client(local.port, tls=authority.client(old)) as client:
            client.request("GET", "/")


def test_faulty_handshakes_end_by_their_deadline_and_hurt_nobody(secure: LocalWorker, authority: Authority) -> None:
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    faults = [b"", b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", b"\x00" * 64, hello, b"\x15\x03\x01\x00\x02\x02\x46"]
    with Client(secure.port, tls=authority.client()) as good:
        sockets = [socket.create_connection(("127.0.0.1", secure.port), timeout=PATIENCE) for _ in range(40)]
        for number, silent in enumerate(sockets):
            silent.sendall(faults[number % len(faults)])
            assert good.request("GET", "/").status == 200
        for gone in sockets[::2]:
            gone.close()
        for silent in sockets[1::2]:
            with silent:
                assert not _last_words(silent).startswith(b"HTTP/")
        assert good.request("GET", "/").status == 200
    eventually(lambda: not secure.server.server_state.connections)


def _last_words(peer: socket.socket) -> bytes:
    """What the server still says, and then its end of the connection, within the socket's timeout."""
    said = b""
    try:
        while data := peer.recv(65_536):
            said += data
    except ConnectionResetError:
        pass
    return said


def test_a_drain_does_not_wait_for_idle_clients_to_say_goodbye(
    background: Background, champion: ModelServer, authority: Authority
) -> None:
    """A pooled client that is not reading never answers the closing alert."""
    route, tls = ModelRoute("m", "/", target("40", champion)), server_context(authority.certificate())
    with (
        LocalWorker(background, route, limits=PATIENT, tls=tls) as local,
        Client(local.port, tls=authority.client()) as client,
    ):
        assert client.request("GET", "/").status == 200
        local.server.should_exit = True
        eventually(local.ended)


@pytest.mark.parametrize("damage", ["missing", "no PEM", "another's key"])
def test_files_that_make_no_tls_are_named(authority: Authority, tmp_path: Path, damage: str) -> None:
    files = authority.certificate()
    if damage == "missing":
        Path(files.key).unlink()
    elif damage == "no PEM":
        Path(files.certificate).write_text("none")
    else:
        Path(authority.certificate(file="other").key).replace(files.key)
    with pytest.raises(TlsUnusable, match=rf"TLS files are not usable: {files.certificate}, {files.key}: ."):
        server_context(files)


def test_a_worker_says_so_and_ends_as_no_verdict_does() -> None:
    options = ["--control", "http://127.0.0.1:9", "--listen", "127.0.0.1:0", "--tls-certificate", "none.pem"]
    ended = subprocess.run([sys.executable, "-m", "proxy", *options], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 3
    assert "the data port's TLS files are not usable: none.pem: " in ended.stderr
    assert "Traceback" not in ended.stderr
