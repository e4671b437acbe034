from __future__ import annotations

import asyncio

import pytest
import uvloop

from proxy.connection import MAX_HEAD_BYTES, MAX_HEADERS, MAX_INTERIM
from proxy.errors import UpstreamClosed, UpstreamFailed, UpstreamMalformed, UpstreamTimeout
from proxy.pool import Pool
from proxy.response import READ_AHEAD, Response
from tests.proxy.exchanges import HEAD
from tests.servers import HANG, READ, RESET, Background, Script, Scripted, whole
from tests.wire import PATIENCE

UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nhello"
CODED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: %b\r\n\r\n"
"""The coding's name ends at this hop: a client could not read what it is not told of."""
CHUNKED = CODED % b"chunked"


def _exchange(upstream: Scripted, *, method: str = "POST", seconds: float = PATIENCE) -> tuple[Response, bytes]:
    """One exchange on a pool of its own, read whole."""

    async def exchange() -> tuple[Response, bytes]:
        pool = Pool(upstream.origin, 1, PATIENCE)
        try:
            deadline = pool.loop.time() + seconds
            response = await pool.exchange(HEAD, b"hi", deadline, without_body=method == "HEAD")
            body = await response.read_all(1 << 30)
            assert body is not None
            return response, body
        finally:
            pool.close()

    return uvloop.run(exchange())


def _connections_for_two(upstream: Scripted, method: str = "POST") -> int:
    """How many connections two exchanges, one after the other, were made on."""

    async def exchange_twice() -> int:
        pool = Pool(upstream.origin, 4, PATIENCE)
        for _ in range(2):
            response = await pool.exchange(HEAD, b"hi", pool.loop.time() + PATIENCE, without_body=method == "HEAD")
            await response.read_all(1 << 20)
        pool.close()
        return upstream.connections

    return uvloop.run(exchange_twice())


WHOLE_ANSWERS: dict[str, tuple[bytes, int, bytes]] = {
    "length": (whole(b"hello"), 200, b"hello"),
    "length 0": (whole(b""), 200, b""),
    "chunked": (CHUNKED + b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 200, b"hello"),
    "chunked in capitals": (CODED % b"Chunked" + b"5\r\nhello\r\n0\r\n\r\n", 200, b"hello"),
    "chunked with trailers": (CHUNKED + b"5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n", 200, b"hello"),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    "304 with the length of what it does not send": (
        b"HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\n\r\n",
        304,
        b"",
    ),
    "interim answers before it": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + whole(b"hello"),
        200,
        b"hello",
    ),
    "HTTP/1.0 that stays": (b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nhi", 200, b"hi"),
}


@pytest.mark.parametrize("name", WHOLE_ANSWERS)
def test_an_answer_ends_where_its_framing_says_and_its_connection_is_used_again(
    background: Background, name: str
) -> None:
    raw, status, body = WHOLE_ANSWERS[name]
    with Scripted(background, [READ, raw, READ, raw, HANG]) as upstream:
        assert _connections_for_two(upstream) == 1
    with Scripted(background, [READ, raw, HANG]) as upstream:
        response, read = _exchange(upstream)
        assert (response.status, read, response.finished) == (status, body, True)


@pytest.mark.parametrize("name", WHOLE_ANSWERS)
def test_an_answer_that_comes_byte_by_byte_is_the_same(background: Background, name: str) -> None:
    raw, status, body = WHOLE_ANSWERS[name]
    drip: Script = [part for byte in raw for part in (bytes([byte]), 0.0)]
    with Scripted(background, [READ, *drip, HANG]) as upstream:
        response, read = _exchange(upstream)
        assert (response.status, read) == (status, body)


def test_fields_come_in_order_and_without_those_of_trailers_and_interim_answers(background: Background) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
    raw = b"HTTP/1.1 200 OK\r\nX-B: 2\r\nx-a: 1\r\nX-B: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-late: 1\r\n\r\n"
    with Scripted(background, [READ, early + raw, HANG]) as upstream:
        response, _ = _exchange(upstream)
    assert response.fields == [(b"x-b", b"2"), (b"x-a", b"1"), (b"x-b", b"1"), (b"transfer-encoding", b"chunked")]


@pytest.mark.parametrize(
    "raw",
    [
        UNTIL_CLOSE,
        b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        whole(b"hello", 200, "connection: close"),
    ],
    ids=["until the close", "HTTP/1.0", "connection: close"],
)
def test_a_connection_that_will_close_is_not_used_again(background: Background, raw: bytes) -> None:
    with Scripted(background, [READ, raw]) as upstream:
        _, body = _exchange(upstream)
        assert body == b"hello"
    end: Script = [] if raw == UNTIL_CLOSE else [HANG]
    with Scripted(background, [READ, raw, *end]) as upstream:
        assert _connections_for_two(upstream) == 2


HEADS: dict[str, tuple[bytes, int]] = {
    "length 0": (whole(b""), 1),
    "length": (b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n", 1),
    "chunked": (CHUNKED, 1),
    "no framing": (b"HTTP/1.1 200 OK\r\n\r\n", 1),
    "interim answers before it": (b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + CHUNKED, 1),
    "HTTP/1.0 that stays": (b"HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\n\r\n", 1),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\n", 2),
    "connection: close": (b"HTTP/1.1 200 OK\r\nconnection: x, Close\r\n\r\n", 2),
    "a body that it must not have": (whole(b"hello"), 2),
    "a chunked body that it must not have": (CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", 2),
}


@pytest.mark.parametrize("name", HEADS)
def test_the_answer_to_head_has_no_body_and_its_connection_is_used_again(background: Background, name: str) -> None:
    raw, connections = HEADS[name]
    with Scripted(background, [READ, raw, HANG]) as upstream:
        response, body = _exchange(upstream, method="HEAD")
        assert (response.status, body, response.finished) == (200, b"", True)
    with Scripted(background, [READ, raw, READ, raw, HANG]) as upstream:
        assert _connections_for_two(upstream, "HEAD") == connections


UNLAWFUL: dict[str, bytes] = {
    "no HTTP": b"SSH-2.0-OpenSSH\r\n",
    "HTTP/0.9": b"hello",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n",
    "status 99": b"HTTP/1.1 99 X\r\n\r\n",
    "status 600": b"HTTP/1.1 600 X\r\ncontent-length: 0\r\n\r\n",
    "status 99999": b"HTTP/1.1 99999 X\r\n\r\n",
    "101 that nobody asked for": b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "length and chunked": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "compressed in transfer": CODED % b"gzip, chunked" + b"2\r\nhi\r\n0\r\n\r\n",
    "compressed in transfer, in two lines": CODED % b"gzip\r\ntransfer-encoding: chunked" + b"2\r\nhi\r\n0\r\n\r\n",
    "compressed in transfer, with a length": CODED % b"gzip\r\ncontent-length: 2" + b"hi",
    "compressed in transfer, behind a length": b"HTTP/1.1 200 OK\r\ncontent-length: 2" + (CODED % b"gzip")[15:] + b"hi",
    "compressed until the close": CODED % b"gzip" + b"hi",
    "chunked twice": CODED % b"chunked, chunked" + b"2\r\nhi\r\n0\r\n\r\n",
    "chunked in two lines": CODED % b"chunked\r\ntransfer-encoding: chunked" + b"2\r\nhi\r\n0\r\n\r\n",
    "length that is no number": b"HTTP/1.1 200 OK\r\ncontent-length: two\r\n\r\nab",
    "obs-fold": b"HTTP/1.1 200 OK\r\na: b\r\n c: d\r\ncontent-length: 0\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\ncontent-length: 0\n\n",
    "control character": b"HTTP/1.1 200 OK\r\na: \x01\r\ncontent-length: 0\r\n\r\n",
    "interim with a body": b"HTTP/1.1 150 X\r\ncontent-length: 2\r\n\r\nab" + whole(b"hi"),
    "interim for ever": b"HTTP/1.1 103 X\r\n\r\n" * (MAX_INTERIM + 1) + whole(b"hi"),
    "too many fields": b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * (MAX_HEADERS + 1) + b"content-length: 0\r\n\r\n",
    "head of too many bytes": whole(b"hi", 200, "a: " + "b" * MAX_HEAD_BYTES),
    "head without end": b"HTTP/1.1 200 OK\r\na: " + b"b" * (MAX_HEAD_BYTES * 8),
}


@pytest.mark.parametrize("name", UNLAWFUL)
def test_what_is_no_lawful_answer_fails_as_malformed(background: Background, name: str) -> None:
    with Scripted(background, [READ, UNLAWFUL[name], HANG]) as upstream, pytest.raises(UpstreamMalformed, match=r"\w"):
        _exchange(upstream)


BROKEN_OFF: dict[str, Script] = {
    "before the head": [READ],
    "in the head": [READ, b"HTTP/1.1 200 OK\r\ncontent-le"],
    "after the head": [READ, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"],
    "in the body": [READ, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel"],
    "in a chunk": [READ, CHUNKED + b"5\r\nhel"],
    "before the last chunk": [READ, CHUNKED + b"5\r\nhello\r\n"],
    "before the trailer's end": [READ, CHUNKED + b"5\r\nhello\r\n0\r\n"],
    "after an interim answer": [READ, b"HTTP/1.1 100 Continue\r\n\r\n"],
    "by a reset before the head": [READ, RESET],
    "by a reset in a body until the close": [READ, b"HTTP/1.1 200 OK\r\n\r\nhel", 0.05, RESET],
}


@pytest.mark.parametrize("name", BROKEN_OFF)
def test_an_answer_that_breaks_off_never_looks_whole(background: Background, name: str) -> None:
    with Scripted(background, BROKEN_OFF[name]) as upstream, pytest.raises(UpstreamClosed):
        _exchange(upstream)


@pytest.mark.parametrize(
    "drip", [b"HTTP/1.1 200 OK\r\nx: ", CHUNKED, b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n"]
)
def test_the_deadline_is_total_however_much_drips(background: Background, drip: bytes) -> None:
    piece = b"1\r\na\r\n" if drip == CHUNKED else b"a"
    dripping: Script = [piece, 0.01]
    with Scripted(background, [READ, drip, *[*dripping] * 2000]) as upstream, pytest.raises(UpstreamTimeout):
        _exchange(upstream, seconds=0.3)


def test_a_reader_that_falls_behind_holds_the_sender_back(background: Background) -> None:
    """What is not read is not buffered without end: the server cannot have written it all."""
    piece = b"x" * 65_536
    pieces = 1024

    async def exchange(upstream: Scripted) -> int:
        pool = Pool(upstream.origin, 1, PATIENCE)
        response = await pool.exchange(HEAD, b"hi", pool.loop.time() + PATIENCE)
        held_back = -1
        while held_back != upstream.steps:
            held_back = upstream.steps
            await asyncio.sleep(0.1)
        assert held_back < pieces / 2
        body = await response.read_all(1 << 30)
        pool.close()
        return len(body or b"")

    start = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (pieces * len(piece))
    with Scripted(background, [READ, start, *[piece] * pieces, HANG]) as upstream:
        assert uvloop.run(exchange(upstream)) == pieces * len(piece) > READ_AHEAD


LARGE = b"x" * 4 * READ_AHEAD
AS_ANNOUNCED = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(LARGE)


def test_the_time_that_a_reader_takes_is_not_the_upstreams(background: Background) -> None:
    """The upstream is told to wait, so its deadline waits as well."""

    async def exchange(upstream: Scripted) -> None:
        pool = Pool(upstream.origin, 1, PATIENCE)
        response = await pool.exchange(HEAD, b"hi", pool.loop.time() + 2.0)
        await asyncio.sleep(3.0)
        assert await response.read_all(1 << 30) == LARGE
        assert response.held > 1.0
        pool.close()

    with Scripted(background, [READ, AS_ANNOUNCED + LARGE, HANG]) as upstream:
        uvloop.run(exchange(upstream))


def test_behind_a_slow_reader_the_upstream_has_the_time_that_was_left_and_no_more(background: Background) -> None:
    async def exchange(upstream: Scripted) -> None:
        pool = Pool(upstream.origin, 1, PATIENCE)
        response = await pool.exchange(HEAD, b"hi", pool.loop.time() + 1.0)
        await asyncio.sleep(1.5)
        with pytest.raises(UpstreamTimeout):
            await response.read_all(1 << 30)

    with Scripted(background, [READ, AS_ANNOUNCED + LARGE[:-1], HANG]) as upstream:
        uvloop.run(exchange(upstream))


def test_a_body_longer_than_wanted_is_given_up(background: Background) -> None:
    async def exchange(upstream: Scripted) -> None:
        pool = Pool(upstream.origin, 1, PATIENCE)
        response = await pool.exchange(HEAD, b"hi", pool.loop.time() + PATIENCE)
        assert await response.read_all(4) is None
        assert pool.size == 0

    start = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n"
    with Scripted(background, [READ, start + b"12345", HANG]) as upstream:
        uvloop.run(exchange(upstream))


def test_what_came_before_a_failure_is_read_first(background: Background) -> None:
    async def exchange(upstream: Scripted) -> None:
        pool = Pool(upstream.origin, 1, PATIENCE)
        response = await pool.exchange(HEAD, b"hi", pool.loop.time() + PATIENCE)
        await asyncio.sleep(0.1)
        assert await response.read() == b"hel"
        assert not response.finished
        with pytest.raises(UpstreamFailed):
            await response.read()

    with Scripted(background, [READ, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel"]) as upstream:
        uvloop.run(exchange(upstream))
