from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest

from proxy.limits import Limits
from tests.proxy.behind import Behind
from tests.servers import Background, eventually
from tests.wire import Client, CutOff, call, request


@pytest.fixture(scope="module")
def patient(background: Background) -> Iterator[Behind]:
    with Behind(background, Limits()) as server:
        yield server


@pytest.fixture
def patiently(patient: Behind) -> Behind:
    patient.application.seen.clear()
    patient.application.bodies.clear()
    patient.application.cancelled = 0
    patient.application.gate = asyncio.Event()
    return patient


HOST = b"host: a\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"transfer-encoding: chunked\r\n"
BIG = b"x" * 40_000
REFUSED: dict[str, tuple[bytes, int]] = {
    "no HTTP": (b"hello\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "HTTP/0.9": (b"GET /\r\n\r\n", 400),
    "HTTP/2.0": (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 400),
    "CL and TE": (
        POST + b"content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "TE and CL": (
        CHUNKED + b"content-length: 4\r\n\r\n0\r\n\r\n",
        400,
    ),
    "CL twice": (POST + b"content-length: 1\r\ncontent-length: 1\r\n\r\na", 400),
    "CL twice in one": (POST + b"content-length: 1, 1\r\n\r\na", 400),
    "CL with a sign": (POST + b"content-length: +1\r\n\r\na", 400),
    "TE twice": (
        CHUNKED + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "TE gzip, chunked": (POST + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    "TE xchunked": (POST + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    "TE with a space before the colon": (
        POST + b"transfer-encoding : chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "host twice": (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "obs-fold": (b"GET / HTTP/1.1\r\n" + HOST + b"a: b\r\n c\r\n\r\n", 400),
    "bare LF": (b"GET / HTTP/1.1\n" + HOST + b"\n", 400),
    "bare LF in the head": (b"GET / HTTP/1.1\r\nhost: a\nx: y\r\n\r\n", 400),
    "bare CR": (b"GET / HTTP/1.1\r\nhost: a\rx: y\r\n\r\n", 400),
    "NUL in a value": (b"GET / HTTP/1.1\r\n" + HOST + b"a: b\x00c\r\n\r\n", 400),
    "space in a name": (b"GET / HTTP/1.1\r\n" + HOST + b"a b: c\r\n\r\n", 400),
    "an alias of ours": (b"GET / HTTP/1.1\r\n" + HOST + b"x_forwarded_for: 10.0.0.1\r\n\r\n", 400),
    "a body behind an upgrade": (POST + b"connection: upgrade\r\nupgrade: h2c\r\ncontent-length: 2\r\n\r\nhi", 400),
    "chunks behind an upgrade": (CHUNKED + b"connection: upgrade\r\nupgrade: h2c\r\n\r\n2\r\nhi\r\n0\r\n\r\n", 400),
    "CONNECT": (b"CONNECT a:443 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "chunk size that is none": (CHUNKED + b"\r\nzz\r\n", 400),
    "chunk longer than it says": (
        CHUNKED + b"\r\n1\r\nabc\r\n",
        400,
    ),
    "a target too long": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    "a field too long": (b"GET / HTTP/1.1\r\n" + HOST + b"a: " + BIG + b"\r\n\r\n", 431),
    "a field too long and no end": (b"GET / HTTP/1.1\r\n" + HOST + b"a: " + BIG, 431),
    "too many fields": (b"GET / HTTP/1.1\r\n" + HOST + b"a: b\r\n" * 6000 + b"\r\n", 431),
}
TARGETS = [
    b"//host/a", b"@host/a", b"http://host/a", b"http:/a", b"*", b"a", b"?a", b"/a b", b"/a#b", b"/a\x00", b"/a\xff",
    b"/%00", b"/a%", b"/a%2", b"/a%zz", b"/a?b=%g0", b"/a?b=%00", b"/.", b"/..", b"/a/../b", b"/a/./b", b"/a/..",
    b"/%2e%2e/a", b"/a/%2E./b", b"/a/..%2fb",
]  # fmt: skip
REFUSED |= {f"target {target!r}": (b"GET %b HTTP/1.1\r\n" % target + HOST + b"\r\n", 400) for target in TARGETS}


@pytest.mark.parametrize("name", REFUSED)
def test_an_unsafe_request_is_answered_and_reaches_nobody(patiently: Behind, name: str) -> None:
    raw, status = REFUSED[name]
    with Client(patiently.port) as client:
        client.send(raw)
        refused = client.read()
        assert refused.status == status
        assert refused["connection"] == "close"
        assert client.ended()
    assert patiently.application.bodies == []


@pytest.mark.parametrize(
    "target",
    [
        b"/",
        b"/a%2Fb%20c",
        b"/a//b",
        b"/a?",
        b"/a?b?c=/../",
        b"/a?b=%zz".replace(b"zz", b"c3%A9"),
        b"/a;b=1,2:3@4!$&'()*+~-._",
        b'/a?q={"x":[1|2]}^`\\',
        b"/.well-known/a..b/...",
        b"/" + b"a" * 8000,
    ],
)
def test_a_safe_target_goes_on_byte_for_byte(patiently: Behind, target: bytes) -> None:
    assert call(patiently.port, "GET", target.decode()).status == 200
    assert patiently.application.seen == [("GET", target)]


def test_a_refused_client_that_goes_on_sending_still_reads_the_answer(patiently: Behind) -> None:
    with Client(patiently.port) as client:
        client.send(b"POST / HTTP/1.1\r\nhost: a\r\nhost: b\r\ncontent-length: 4000000\r\n\r\n")
        for _ in range(40):
            client.send(b"x" * 100_000)
        assert client.read().status == 400
        assert client.ended()


@pytest.mark.parametrize(
    "bad",
    [b"GET // HTTP/1.1\r\nhost: a\r\n\r\n", b"nonsense\r\n\r\n", CHUNKED + b"\r\nzz\r\n"],
    ids=["target", "line", "body"],
)
def test_a_refused_request_is_answered_behind_the_good_ones(patiently: Behind, bad: bytes) -> None:
    with Client(patiently.port) as client:
        client.send(request("GET", "/wait") + request("GET", "/second") + bad + request("GET", "/never"))
        eventually(lambda: patiently.application.seen)
        patiently.open_gate()
        assert [client.read().body, client.read().body] == [b"/wait", b"/second"]
        assert client.read().status == 400
        assert client.ended()
    assert [target for _, target in patiently.application.seen] == [b"/wait", b"/second"]


def test_a_body_that_turns_out_malformed_is_refused_at_once(patiently: Behind) -> None:
    with Client(patiently.port) as client:
        client.send(CHUNKED + b"\r\n3\r\nabc\r\n")
        eventually(lambda: patiently.application.seen)
        client.send(b"oops\r\n")
        assert client.read().status == 400
        assert client.ended()
    eventually(lambda: not patiently.answering)


def test_a_malformed_body_behind_its_own_answer_brings_no_second_answer(patiently: Behind) -> None:
    with Client(patiently.port) as client:
        client.send(b"POST /early HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
        assert client.read().status == 404
        client.send(b"oops\r\n")
        with pytest.raises(CutOff):
            client.read()


def test_a_trailer_without_end_is_refused(patiently: Behind) -> None:
    with Client(patiently.port) as client:
        client.send(CHUNKED + b"\r\n1\r\na\r\n0\r\na: ")
        eventually(lambda: patiently.application.seen)
        client.send(BIG)
        assert client.read().status == 431
        assert client.ended()
    assert patiently.application.bodies == []


def test_a_trailer_without_end_behind_its_own_answer_is_cut_off(patiently: Behind) -> None:
    with Client(patiently.port) as client:
        client.send(b"POST /early HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\na: ")
        assert client.read().status == 404
        client.send(BIG)
        with pytest.raises(CutOff):
            client.read()


def test_an_answer_before_the_body_leaves_the_connection_usable(patiently: Behind) -> None:
    with Client(patiently.port) as client:
        client.send(request("POST", "/early", body=b"x" * 1_000_000) + request("GET", "/next"))
        assert client.read().status == 404
        assert client.read().body == b"/next"


def test_trailer_fields_never_join_those_of_the_head(patiently: Behind) -> None:
    trailers = b"x-user-id: admin\r\nx_forwarded_for: 10.0.0.1\r\n"
    with Client(patiently.port) as client:
        client.send(CHUNKED + b"\r\n1\r\na\r\n0\r\n" + trailers + b"\r\n")
        assert client.read().body == b"a"
        fields = patiently.application.fields
        assert client.request("GET", "/next").body == b"/next"
    assert fields == [(b"host", b"a"), (b"transfer-encoding", b"chunked")]


def test_expect_continue_is_answered_before_the_body_is_sent(patiently: Behind) -> None:
    with Client(patiently.port) as client:
        client.send(b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
        assert client.read_head()[1] == 100
        client.send(b"hi")
        assert client.read().body == b"hi"


def test_an_old_client_gets_no_interim_answer_that_it_would_take_for_the_answer(patiently: Behind) -> None:
    """An expectation in HTTP/1.0 is passed over (RFC 9110 section 10.1.1)."""
    with Client(patiently.port) as client:
        client.send(b"POST / HTTP/1.0\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
        eventually(lambda: patiently.application.seen)
        client.send(b"hi")
        answered = client.read()
        assert (answered.interim, answered.body) == ((), b"hi")


@pytest.mark.parametrize("protocol", ["websocket", "h2c"])
def test_an_upgrade_is_passed_over_and_the_request_is_the_last(patiently: Behind, protocol: str) -> None:
    with Client(patiently.port) as client:
        asked = [("connection", "Upgrade, HTTP2-Settings"), ("upgrade", protocol)]
        client.send(request("GET", "/", asked) + b"GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n")
        answered = client.read()
        assert (answered.status, answered.body, answered["connection"]) == (200, b"/", "close")
        with pytest.raises(CutOff):
            client.read()
    assert patiently.application.seen == [("GET", b"/")]


def test_a_client_that_leaves_cancels_its_request(patiently: Behind) -> None:
    with Client(patiently.port) as client:
        client.send(request("GET", "/wait") + request("GET", "/never"))
        eventually(lambda: patiently.application.seen)
    eventually(lambda: patiently.application.cancelled)
    eventually(lambda: not patiently.answering)
    assert patiently.application.seen == [("GET", b"/wait")]


@pytest.mark.parametrize("target", ["/cut", "/bug"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_an_answer_that_breaks_off_is_reset_and_never_looks_whole(
    patiently: Behind, target: str, version: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.CRITICAL), Client(patiently.port) as client:
        client.send(request("GET", target, version=version))
        with pytest.raises(CutOff, match="reset"):
            client.read()


def test_a_handler_that_fails_before_its_answer_is_a_500(patiently: Behind) -> None:
    assert call(patiently.port, "GET", "/fail").status == 500


def test_a_body_without_a_length_is_chunked_or_lasts_until_the_close(patiently: Behind) -> None:
    new = call(patiently.port, "GET", "/stream")
    assert (new.body, new.framing) == (b"onetwo", "chunked")
    with Client(patiently.port) as client:
        client.send(request("GET", "/stream", version="1.0"))
        old = client.read()
    assert (old.body, old.framing, old["connection"]) == (b"onetwo", "close", "close")
    assert "transfer-encoding" not in old


def test_a_length_is_kept_for_an_old_client(patiently: Behind) -> None:
    with Client(patiently.port) as client:
        client.send(b"POST / HTTP/1.0\r\ncontent-length: 2\r\n\r\nhi")
        old = client.read()
        assert (old.body, old.framing) == (b"hi", "length")
        assert client.ended()


def test_each_request_has_the_version_of_its_own_first_line(patiently: Behind) -> None:
    with Client(patiently.port) as client:
        client.send(request("GET", "/stream") + request("GET", "/stream", version="1.0"))
        assert (client.read().framing, client.read().framing) == ("chunked", "close")
    with Client(patiently.port) as client:
        client.send(b"GET / HTTP/1.0\nfoo: HTTP/1.1\r\n\r\n")
        assert client.read().status == 400


def test_a_large_body_comes_whole(patiently: Behind) -> None:
    body = bytes(range(256)) * 20_480
    assert call(patiently.port, "POST", "/", body=body).body == body
