"""https upstreams, with real handshakes: whom a worker trusts, what it shows, and how each failure is told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from proxy.snapshot import Origin, UpstreamTls
from tests.servers import HANG, READ, Background, ModelServer, Scripted, eventually, predicting
from tests.tls import Authority
from tests.wire import CutOff
from tests.workers import Scene, target


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def trusting(server: ModelServer | Scripted, tls: UpstreamTls) -> Origin:
    return replace(server.origin, tls=tls)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def refused(scene: Scene) -> None:
    """A client is told no more than that there is no trusted connection; it is counted as such."""
    reply = scene.post()
    told = {"error": "tls", "message": "no trusted connection to the model's server"}
    assert (reply.status, msgspec.json.decode(reply.body)) == (502, told)
    assert scene.window.champion.errors == {"tls": scene.window.champion.answers}


def test_a_private_authority_is_trusted_where_it_is_named(
    scene: Scene, background: Background, authority: Authority
) -> None:
    with ModelServer(background, tls=authority.server()) as server:
        scene.routed(champion=target("40", trusting(server, authority.trusted())))
        assert [scene.post().status for _ in range(3)] == [200] * 3
        assert len(server.seen) == 3


def test_an_authority_that_nobody_named_is_not_trusted(
    scene: Scene, background: Background, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    with ModelServer(background, tls=authority.server()) as server:
        scene.routed(champion=target("40", trusting(server, UpstreamTls())))
        refused(scene)
        assert "certificate verify failed" in caplog.text
        assert not server.seen


def test_the_systems_authorities_are_trusted_without_any_file(
    scene: Scene, background: Background, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL finds them in SSL_CERT_FILE, as a container's image or its operator may say."""
    monkeypatch.setenv("SSL_CERT_FILE", authority.ca("system.pem"))
    tls = UpstreamTls(server_name="127.0.0.1")  # no other test has a context of these settings
    with ModelServer(background, tls=authority.server()) as server:
        scene.routed(champion=target("40", trusting(server, tls)))
        assert scene.post().status == 200


def test_the_certificate_has_to_name_the_server_that_was_meant(
    scene: Scene, background: Background, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[str | None] = []
    context = authority.server("fraud.internal")
    context.sni_callback = lambda connection, name, context: asked.append(name)
    with ModelServer(background, tls=context) as server:
        scene.routed(champion=target("40", trusting(server, authority.trusted())))
        refused(scene)
        assert "IP address mismatch" in caplog.text
        scene.routed(champion=target("40", trusting(server, authority.trusted("fraud.internal"))))
        assert scene.post().status == 200
        scene.routed(champion=target("40", trusting(server, authority.trusted("ranker.internal"))))
        assert scene.post().status == 502
        assert "Hostname mismatch" in caplog.text
    assert asked[-2:] == ["fraud.internal", "ranker.internal"]


def test_a_server_that_wants_to_know_its_clients_is_shown_a_certificate(
    scene: Scene, background: Background, authority: Authority
) -> None:
    with ModelServer(background, tls=authority.server(clients=True)) as server:
        ours = authority.certificate("penstock", file="client")
        shown = replace(authority.trusted(), certificate=ours.certificate, key=ours.key)
        scene.routed(champion=target("40", trusting(server, shown)))
        assert scene.post().status == 200
        scene.routed(champion=target("40", trusting(server, authority.trusted())))
        assert scene.post().status == 502  # TLS 1.3 tells only after the handshake, by a close
        assert len(server.seen) == 1


def test_files_that_cannot_be_read_are_named_and_used_as_soon_as_they_are_there(
    scene: Scene, background: Background, authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ModelServer(background, tls=authority.server()) as server:
        tls = UpstreamTls(ca=str(tmp_path / "late.pem"))
        scene.routed(champion=target("40", trusting(server, tls)))
        refused(scene)
        assert "the TLS files in its settings: [Errno 2] No such file" in caplog.text
        authority.ca("late.pem")
        assert scene.post().status == 200


def test_a_renewed_authority_is_taken_up_and_kept_connections_go_on(
    scene: Scene, background: Background, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "next").mkdir()
    following = Authority(tmp_path / "next")
    tls = UpstreamTls(ca=authority.ca("trusted.pem"))
    with ModelServer(background, tls=authority.server()) as old, ModelServer(background, tls=following.server()) as new:
        before, after = trusting(old, tls), trusting(new, tls)
        scene.routed(champion=target("40", before))
        assert scene.post().status == 200
        Path(following.ca()).replace(tmp_path / "trusted.pem")
        assert scene.post().status == 200
        scene.routed(champion=target("41", after))
        assert scene.post().status == 200


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x46", b"\0" * 64])
def test_a_server_that_speaks_no_tls_is_told_as_such(
    scene: Scene, background: Background, authority: Authority, said: bytes
) -> None:
    with Scripted(background, [said, HANG]) as server:
        scene.routed(champion=target("40", trusting(server, authority.trusted())))
        refused(scene)


def test_handshakes_that_hang_end_by_the_deadline_and_leave_nothing_open(
    scene: Scene, background: Background, authority: Authority
) -> None:
    before = descriptors()
    with Scripted(background, [HANG]) as server:
        scene.routed(champion=target("40", trusting(server, authority.trusted())), timeout=0.3)
        assert [scene.post().status for _ in range(5)] == [504] * 5
        eventually(lambda: scene.worker.worker.upstreams.connections == 0)
    eventually(lambda: descriptors() <= before)


def test_a_candidate_whose_certificate_is_not_trusted_is_answered_for(
    scene: Scene, background: Background, authority: Authority
) -> None:
    with ModelServer(background, tls=authority.server()) as server:
        scene.ramped(10_000, trusting(server, UpstreamTls()))
        reply = scene.post()
        assert (reply.status, reply["x-penstock-fallback"]) == (200, "candidate-error")
        assert scene.window.candidate.errors == {"tls": 1}


def test_the_next_server_is_asked_where_one_is_not_trusted(
    scene: Scene, background: Background, authority: Authority
) -> None:
    with ModelServer(background, tls=authority.server("elsewhere")) as wrong:
        scene.routed(
            champion=replace(
                target("40", trusting(wrong, authority.trusted())),
                origins=(trusting(wrong, authority.trusted()), scene.champion.origin),
            )
        )
        assert [scene.post().status for _ in range(4)] == [200] * 4


UNTIL_THE_END = b"HTTP/1.1 200 OK\r\n\r\n"


class Ragged(Scripted):
    """It ends its connections without TLS's closing alert, as a proxy that dies does, or somebody who cuts the line."""

    async def play(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.take(READ, reader, writer)
        writer.write(UNTIL_THE_END + b"half")
        await writer.drain()
        writer.transport.abort()


def test_a_body_until_the_end_is_whole_only_with_the_closing_alert(
    scene: Scene, background: Background, authority: Authority
) -> None:
    with Scripted(background, [READ, UNTIL_THE_END + b"whole"], tls=authority.server()) as orderly:
        scene.routed(champion=target("40", trusting(orderly, authority.trusted())))
        assert scene.post().body == b"whole"
    with Ragged(background, tls=authority.server()) as cut:
        scene.routed(champion=target("40", trusting(cut, authority.trusted())))
        with pytest.raises(CutOff):
            scene.post()
        assert scene.window.champion.errors == {"closed": 1}


def test_copies_go_over_tls_and_are_compared(scene: Scene, background: Background, authority: Authority) -> None:
    with ModelServer(background, predicting(2.0), tls=authority.server()) as server:
        scene.routed(candidate=target("42", trusting(server, authority.trusted())))
        assert scene.post().status == 200
        eventually(lambda: scene.window.agreement.disagreed == 1)
