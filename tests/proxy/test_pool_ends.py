"""However an exchange ends, by its deadline, by a failure or cancelled, its place is free."""

from __future__ import annotations

import asyncio
import random
import socket

import pytest

from proxy.errors import UpstreamClosed, UpstreamMalformed, UpstreamTimeout
from proxy.pool import Pool
from proxy.response import Response
from proxy.snapshot import Origin
from tests.proxy.exchanges import HEAD, OK, ask, in_pool
from tests.servers import HANG, READ, Background, Script, Scripted
from tests.wire import PATIENCE


def test_a_place_is_free_as_soon_as_its_exchange_has_ended(background: Background) -> None:
    """Whatever way it ends, and with no turn of the loop between."""

    async def scene(pool: Pool) -> None:
        with pytest.raises(UpstreamTimeout):
            await ask(pool, seconds=0.5)
        with pytest.raises(UpstreamMalformed):
            await ask(pool)
        with pytest.raises(UpstreamClosed):
            await ask(pool)
        response = await pool.exchange(HEAD, b"hi", pool.loop.time() + PATIENCE)
        response.discard()
        assert await ask(pool) == b"ok"

    with Scripted(
        background, [READ, HANG], [READ, b"x", HANG], [READ], [READ, OK[:-1], HANG], [READ, OK, HANG]
    ) as upstream:
        in_pool(upstream.origin, scene, limit=1)


@pytest.mark.parametrize("script", [[READ, HANG], [READ, OK[:-1], HANG]], ids=["before the head", "in the body"])
def test_an_exchange_ends_within_a_quarter_of_a_second_of_its_deadline(background: Background, script: Script) -> None:
    """By the same loop's timers, whose order a busy machine does not change."""

    async def scene(pool: Pool) -> None:
        deadlines = [pool.loop.time() + 0.3 + 0.1 * number for number in range(6)]
        left, looked_at = list[int](), asyncio.Event()
        pool.loop.call_at(deadlines[-1] + 0.26, looked_at.set)
        for deadline in deadlines:
            pool.loop.call_at(deadline + 0.25, lambda: left.append(pool.under_way))
        crowd = [pool.exchange(HEAD, b"hi", deadline) for deadline in deadlines]
        begun = await asyncio.gather(*crowd, return_exceptions=True)
        await asyncio.gather(*(one.read_all(9) for one in begun if isinstance(one, Response)), return_exceptions=True)
        await looked_at.wait()
        assert all(count <= most for count, most in zip(left, (5, 4, 3, 2, 1, 0), strict=True)), left

    with Scripted(background, script) as upstream:
        in_pool(upstream.origin, scene)


def test_connecting_is_under_the_deadline_too() -> None:
    async def scene(pool: Pool) -> None:
        with pytest.raises(UpstreamTimeout):
            await ask(pool, seconds=0.2)
        assert pool.size == 0

    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        in_pool(Origin("127.0.0.1", port), scene)
        for one in waiting:
            one.close()


def test_cancelled_exchanges_leave_the_count_exact(background: Background) -> None:
    """At any moment: while connecting, before the head, in the body. The seed makes the moments the same each time."""
    moments = random.Random(7)
    body = OK[:-1]

    async def scene(pool: Pool) -> None:
        for _ in range(300):
            task = asyncio.ensure_future(ask(pool))
            await asyncio.sleep(moments.random() * 0.006)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert task.cancelled()
            assert pool.size == 0

    with Scripted(background, [READ, 0.002, body[:20], 0.001, body[20:], HANG]) as upstream:
        in_pool(upstream.origin, scene, limit=1)


def test_a_hundred_cancelled_at_once_leave_room_for_a_hundred(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        crowd = [asyncio.ensure_future(ask(pool)) for _ in range(100)]
        async with asyncio.timeout(PATIENCE):
            while upstream.connections < len(crowd):  # noqa: ASYNC110 - another thread counts them
                await asyncio.sleep(0.01)
        for task in crowd:
            task.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)
        assert pool.size == 0
        crowd = [asyncio.ensure_future(ask(pool)) for _ in range(100)]
        assert [type(one) for one in await asyncio.gather(*crowd, return_exceptions=True)] == [bytes] * 100

    late: Script = [READ, 0.5, OK, HANG]
    with Scripted(background, *[[READ, HANG]] * 100, late) as upstream:
        in_pool(upstream.origin, scene, limit=100)
