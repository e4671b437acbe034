"""Exchanges on a pool of connections: who shares one, how many there are, and who is not reached."""

from __future__ import annotations

import asyncio

import pytest
from uvicorn._types import ASGIReceiveEvent

from proxy.errors import UpstreamBusy, UpstreamFailed, UpstreamMalformed, UpstreamRefused
from proxy.pool import Pool
from proxy.snapshot import Origin
from proxy.upload import Upload
from tests.proxy.exchanges import HEAD, OK, STEADY, ask, in_pool
from tests.servers import HANG, READ, Background, Scripted, refusing
from tests.wire import PATIENCE


def test_one_after_the_other_share_one_connection(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        for _ in range(5):
            assert await ask(pool) == b"ok"
        assert pool.size == 1

    with Scripted(background, STEADY) as upstream:
        in_pool(upstream.origin, scene)
        assert upstream.connections == 1
        assert upstream.requests == [HEAD + b"hi"] * 5


def test_side_by_side_each_have_their_own(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        assert await asyncio.gather(*(ask(pool) for _ in range(5))) == [b"ok"] * 5
        assert pool.size == 5

    with Scripted(background, [READ, 0.1, OK, HANG]) as upstream:
        in_pool(upstream.origin, scene)
        assert upstream.connections == 5


def test_a_malformed_answer_closes_its_connection(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        with pytest.raises(UpstreamMalformed):
            await ask(pool)
        assert pool.size == 0

    with Scripted(background, [READ, b"nonsense\r\n\r\n", HANG]) as upstream:
        in_pool(upstream.origin, scene)


def test_at_the_limit_an_exchange_is_not_tried(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        under_way = [asyncio.ensure_future(ask(pool)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(UpstreamBusy, match="2 connections"):
            await ask(pool)
        assert await asyncio.gather(*under_way) == [b"ok"] * 2
        assert await ask(pool) == b"ok"

    with Scripted(background, [READ, 0.1, OK, READ, OK, HANG]) as upstream:
        in_pool(upstream.origin, scene, limit=2)
        assert upstream.connections == 2


def test_an_upload_takes_the_place_of_an_idle_connection(background: Background) -> None:
    """It goes out on a connection of its own; at the limit the one that has idled longest is closed for it."""

    async def scene(pool: Pool) -> None:
        assert await asyncio.gather(*(ask(pool) for _ in range(2))) == [b"ok"] * 2
        assert (pool.size, pool.under_way) == (2, 0)
        response = await pool.exchange(HEAD, b"h", pool.loop.time() + PATIENCE, rest=_upload(b"i"))
        assert await response.read_all(100) == b"ok"

    with Scripted(background, [READ, 0.1, OK, READ, OK, HANG]) as upstream:
        in_pool(upstream.origin, scene, limit=2)
        assert upstream.connections == 3


def test_uploads_keep_to_the_limit(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        under_way = asyncio.ensure_future(ask(pool))
        await asyncio.sleep(0)
        with pytest.raises(UpstreamBusy):
            await pool.exchange(HEAD, b"h", pool.loop.time() + PATIENCE, rest=_upload(b"i"))
        assert await under_way == b"ok"

    with Scripted(background, [READ, 0.1, OK, HANG]) as upstream:
        in_pool(upstream.origin, scene, limit=1)


def _upload(rest: bytes) -> Upload:
    async def receive() -> ASGIReceiveEvent:
        return {"type": "http.request", "body": rest, "more_body": False}

    return Upload(receive, chunked=False, sent=1, limit=100, timeout=PATIENCE)


def test_a_refused_connection_is_told_apart() -> None:
    async def scene(pool: Pool) -> None:
        with pytest.raises(UpstreamRefused, match="refused"):
            await ask(pool)
        assert pool.size == 0

    with refusing() as origin:
        in_pool(origin, scene)


def test_a_host_that_does_not_resolve_is_refused() -> None:
    async def scene(pool: Pool) -> None:
        with pytest.raises(UpstreamFailed):
            await ask(pool)
        assert pool.size == 0

    in_pool(Origin("no-such-host.invalid", 80), scene)


@pytest.mark.parametrize("host", ["model..svc", "a" * 64, ".svc"])
def test_a_host_whose_name_cannot_be_asked_for_is_refused_as_any_other_that_does_not_resolve(host: str) -> None:
    """Resolving it raises no OSError but a ValueError, which no fallback and no probe would expect."""

    async def scene(pool: Pool) -> None:
        with pytest.raises(UpstreamRefused):
            await ask(pool)
        assert pool.size == 0

    origin = Origin("model.svc", 80)
    object.__setattr__(origin, "host", host)  # as the rules of today would not let it be made
    in_pool(origin, scene)


def test_a_large_request_goes_out_whole(background: Background) -> None:
    body = bytes(range(256)) * 20_480
    head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)

    async def scene(pool: Pool) -> None:
        response = await pool.exchange(head, body, pool.loop.time() + PATIENCE)
        assert await response.read_all(100) == b"ok"

    with Scripted(background, [READ, OK, HANG]) as upstream:
        in_pool(upstream.origin, scene)
        assert upstream.requests == [head + body]
