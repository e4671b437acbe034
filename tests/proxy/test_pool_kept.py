"""Kept connections: what may close them, or come on them, between one exchange and the next."""

from __future__ import annotations

import asyncio

import pytest

from proxy.errors import UpstreamClosed
from proxy.pool import Pool
from tests.proxy.exchanges import OK, STEADY, ask, in_pool
from tests.servers import HANG, READ, RESET, Background, Script, Scripted, whole
from tests.wire import PATIENCE


@pytest.mark.parametrize("end", [[], [RESET]], ids=["close", "reset"])
def test_a_kept_connection_that_closes_under_the_request_is_tried_once_more(
    background: Background, end: list[float]
) -> None:
    """The keep-alive race: the server closes just as it is sent a request."""

    async def scene(pool: Pool) -> None:
        assert await ask(pool) == b"ok"
        assert await ask(pool) == b"ok"

    with Scripted(background, [READ, OK, READ, *end], [READ, OK, HANG]) as upstream:
        in_pool(upstream.origin, scene)
        assert upstream.connections == 2


def test_it_is_tried_once_more_and_not_again(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        assert await ask(pool) == b"ok"
        with pytest.raises(UpstreamClosed):
            await ask(pool)

    with Scripted(background, [READ, OK, READ], [READ]) as upstream:
        in_pool(upstream.origin, scene)
        assert upstream.connections == 2


def test_a_new_connection_is_not_tried_again(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        with pytest.raises(UpstreamClosed):
            await ask(pool)

    with Scripted(background, [READ]) as upstream:
        in_pool(upstream.origin, scene)
        assert upstream.connections == 1


def test_nothing_is_tried_again_once_a_byte_has_come_back(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        assert await ask(pool) == b"ok"
        with pytest.raises(UpstreamClosed):
            await ask(pool)

    with Scripted(background, [READ, OK, READ, b"H"], STEADY) as upstream:
        in_pool(upstream.origin, scene)
        assert upstream.connections == 1


def test_a_connection_closed_while_idle_is_never_used(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        assert await ask(pool) == b"ok"
        await emptied(pool)
        assert await ask(pool) == b"ok"

    with Scripted(background, [READ, OK]) as upstream:
        in_pool(upstream.origin, scene)
        assert upstream.connections == 2


async def emptied(pool: Pool) -> None:
    """Wait until the pool keeps no connection, by what came on the last one."""
    async with asyncio.timeout(PATIENCE):
        while pool.size:  # noqa: ASYNC110 - the pool tells nobody
            await asyncio.sleep(0.01)


POISON = whole(b"poison")
LAST = whole(b"ok", 200, "connection: close")


@pytest.mark.parametrize(
    "surplus",
    [
        [OK + POISON],
        [OK + b"x"],
        [OK, 0.05, POISON],
        [OK, 0.05, b"x"],
        [LAST + POISON],
    ],
    ids=["an answer at once", "a byte at once", "an answer later", "a byte later", "behind connection: close"],
)
def test_bytes_behind_an_answer_reach_no_other_request(background: Background, surplus: Script) -> None:
    async def scene(pool: Pool) -> None:
        assert await ask(pool) == b"ok"
        await emptied(pool)
        assert await ask(pool) == b"ok"

    with Scripted(background, [READ, *surplus, HANG], [READ, OK, HANG]) as upstream:
        in_pool(upstream.origin, scene)
        assert upstream.connections == 2


def test_an_answer_too_many_in_one_read_poisons_nothing(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        assert await asyncio.gather(*(ask(pool) for _ in range(4))) == [b"ok"] * 4
        assert pool.size == 0

    with Scripted(background, [READ, OK + POISON, HANG]) as upstream:
        in_pool(upstream.origin, scene)


KEPT: dict[str, tuple[str, bool]] = {
    "as long as is usual": ("x-nothing: said", True),
    "longer": ("keep-alive: timeout=9, max=100", True),
    "shorter": ("Keep-Alive: max=100, timeout=1", False),
    "not at all": ("keep-alive: timeout=0", False),
    "nobody knows how long": ("keep-alive: timeout=soon", True),
}


@pytest.mark.parametrize("said", KEPT)
def test_an_idle_connection_is_used_for_half_the_time_that_its_server_keeps_it(
    background: Background, said: str
) -> None:
    """In the other half a request might cross the server's close on its way."""
    field, kept = KEPT[said]

    async def scene(pool: Pool) -> None:
        assert await ask(pool) == b"ok"
        (connection,) = pool._open
        connection.idle_until -= 0.6  # as if so much time had gone by since
        assert await ask(pool) == b"ok"

    answer = whole(b"ok", 200, field)
    with Scripted(background, [READ, answer, READ, answer, HANG]) as upstream:
        in_pool(upstream.origin, scene, expiry=4.0)
        assert upstream.connections == (1 if kept else 2)


def test_an_idle_connection_that_is_too_old_leaves_its_place(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        assert await ask(pool) == b"ok"
        await asyncio.sleep(0.05)
        assert await ask(pool) == b"ok"

    with Scripted(background, STEADY) as upstream:
        in_pool(upstream.origin, scene, limit=1, expiry=0.01)
        assert upstream.connections == 2
