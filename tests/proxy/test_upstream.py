from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable, Coroutine

import pytest
import uvloop

from proxy.errors import (
    UpstreamBusy,
    UpstreamClosed,
    UpstreamFailed,
    UpstreamMalformed,
    UpstreamRefused,
    UpstreamTimeout,
)
from proxy.snapshot import Origin
from proxy.upstream import Pool, Upstreams
from tests.servers import HANG, READ, RESET, Background, Script, Scripted, refusing, whole
from tests.wire import PATIENCE

HEAD = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n"
OK = whole(b"ok")
STEADY: Script = [READ, OK] * 50


async def _ask(pool: Pool, seconds: float = PATIENCE) -> bytes:
    """One exchange, read whole."""
    response = await pool.exchange(HEAD, b"hi", pool.loop.time() + seconds)
    body = await response.read_all(1 << 20)
    assert body is not None
    return body


def _run(
    origin: Origin, scene: Callable[[Pool], Coroutine[None, None, None]], limit: int = 8, expiry: float = PATIENCE
) -> None:
    async def run() -> None:
        pool = Pool(origin, limit, expiry)
        await scene(pool)
        pool.close()
        assert pool.size == 0

    uvloop.run(run())


def test_one_after_the_other_share_one_connection(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        for _ in range(5):
            assert await _ask(pool) == b"ok"
        assert pool.size == 1

    with Scripted(background, STEADY) as upstream:
        _run(upstream.origin, scene)
        assert upstream.connections == 1
        assert upstream.requests == [HEAD + b"hi"] * 5


def test_side_by_side_each_have_their_own(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        assert await asyncio.gather(*(_ask(pool) for _ in range(5))) == [b"ok"] * 5
        assert pool.size == 5

    with Scripted(background, [READ, 0.1, OK, HANG]) as upstream:
        _run(upstream.origin, scene)
        assert upstream.connections == 5


@pytest.mark.parametrize("end", [[], [RESET]], ids=["close", "reset"])
def test_a_kept_connection_that_closes_under_the_request_is_tried_once_more(
    background: Background, end: list[float]
) -> None:
    """The keep-alive race: the server closes just as it is sent a request."""

    async def scene(pool: Pool) -> None:
        assert await _ask(pool) == b"ok"
        assert await _ask(pool) == b"ok"

    with Scripted(background, [READ, OK, READ, *end], [READ, OK, HANG]) as upstream:
        _run(upstream.origin, scene)
        assert upstream.connections == 2


def test_it_is_tried_once_more_and_not_again(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        assert await _ask(pool) == b"ok"
        with pytest.raises(UpstreamClosed):
            await _ask(pool)

    with Scripted(background, [READ, OK, READ], [READ]) as upstream:
        _run(upstream.origin, scene)
        assert upstream.connections == 2


def test_a_new_connection_is_not_tried_again(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        with pytest.raises(UpstreamClosed):
            await _ask(pool)

    with Scripted(background, [READ]) as upstream:
        _run(upstream.origin, scene)
        assert upstream.connections == 1


def test_nothing_is_tried_again_once_a_byte_has_come_back(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        assert await _ask(pool) == b"ok"
        with pytest.raises(UpstreamClosed):
            await _ask(pool)

    with Scripted(background, [READ, OK, READ, b"H"], STEADY) as upstream:
        _run(upstream.origin, scene)
        assert upstream.connections == 1


def test_a_connection_closed_while_idle_is_never_used(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        assert await _ask(pool) == b"ok"
        await asyncio.sleep(0.1)
        assert pool.size == 0
        assert await _ask(pool) == b"ok"

    with Scripted(background, [READ, OK]) as upstream:
        _run(upstream.origin, scene)
        assert upstream.connections == 2


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
        assert await _ask(pool) == b"ok"
        await asyncio.sleep(0.1)
        assert await _ask(pool) == b"ok"

    with Scripted(background, [READ, *surplus, HANG], [READ, OK, HANG]) as upstream:
        _run(upstream.origin, scene)
        assert upstream.connections == 2


def test_an_answer_too_many_in_one_read_poisons_nothing(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        assert await asyncio.gather(*(_ask(pool) for _ in range(4))) == [b"ok"] * 4
        assert pool.size == 0

    with Scripted(background, [READ, OK + POISON, HANG]) as upstream:
        _run(upstream.origin, scene)


def test_a_malformed_answer_closes_its_connection(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        with pytest.raises(UpstreamMalformed):
            await _ask(pool)
        assert pool.size == 0

    with Scripted(background, [READ, b"nonsense\r\n\r\n", HANG]) as upstream:
        _run(upstream.origin, scene)


def test_at_the_limit_an_exchange_is_not_tried(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        under_way = [asyncio.ensure_future(_ask(pool)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(UpstreamBusy, match="2 connections"):
            await _ask(pool)
        assert await asyncio.gather(*under_way) == [b"ok"] * 2
        assert await _ask(pool) == b"ok"

    with Scripted(background, [READ, 0.1, OK, READ, OK, HANG]) as upstream:
        _run(upstream.origin, scene, limit=2)
        assert upstream.connections == 2


def test_a_place_is_free_as_soon_as_its_exchange_has_ended(background: Background) -> None:
    """Whatever way it ends, and with no turn of the loop between."""

    async def scene(pool: Pool) -> None:
        with pytest.raises(UpstreamTimeout):
            await _ask(pool, seconds=0.05)
        with pytest.raises(UpstreamMalformed):
            await _ask(pool)
        with pytest.raises(UpstreamClosed):
            await _ask(pool)
        response = await pool.exchange(HEAD, b"hi", pool.loop.time() + PATIENCE)
        response.discard()
        assert await _ask(pool) == b"ok"

    with Scripted(
        background, [READ, HANG], [READ, b"x", HANG], [READ], [READ, OK[:-1], HANG], [READ, OK, HANG]
    ) as upstream:
        _run(upstream.origin, scene, limit=1)


def test_an_idle_connection_that_is_too_old_leaves_its_place(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        assert await _ask(pool) == b"ok"
        await asyncio.sleep(0.05)
        assert await _ask(pool) == b"ok"

    with Scripted(background, STEADY) as upstream:
        _run(upstream.origin, scene, limit=1, expiry=0.01)
        assert upstream.connections == 2


def test_a_refused_connection_is_told_apart() -> None:
    async def scene(pool: Pool) -> None:
        with pytest.raises(UpstreamRefused, match="refused"):
            await _ask(pool)
        assert pool.size == 0

    with refusing() as origin:
        _run(origin, scene)


def test_a_host_that_does_not_resolve_is_refused() -> None:
    async def scene(pool: Pool) -> None:
        with pytest.raises(UpstreamFailed):
            await _ask(pool)
        assert pool.size == 0

    _run(Origin("no-such-host.invalid", 80), scene)


def test_connecting_is_under_the_deadline_too() -> None:
    async def scene(pool: Pool) -> None:
        with pytest.raises(UpstreamTimeout):
            await _ask(pool, seconds=0.2)
        assert pool.size == 0

    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        _run(Origin("127.0.0.1", port), scene)
        for one in waiting:
            one.close()


def test_cancelled_exchanges_leave_the_count_exact(background: Background) -> None:
    """At any moment: while connecting, before the head, in the body. The seed makes the moments the same each time."""
    moments = random.Random(7)
    body = OK[:-1]

    async def scene(pool: Pool) -> None:
        for _ in range(300):
            task = asyncio.ensure_future(_ask(pool))
            await asyncio.sleep(moments.random() * 0.006)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert task.cancelled()
            assert pool.size == 0

    with Scripted(background, [READ, 0.002, body[:20], 0.001, body[20:], HANG]) as upstream:
        _run(upstream.origin, scene, limit=1)


def test_a_hundred_cancelled_at_once_leave_room_for_a_hundred(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        crowd = [asyncio.ensure_future(_ask(pool)) for _ in range(100)]
        await asyncio.sleep(0.05)
        for task in crowd:
            task.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)
        assert pool.size == 0
        crowd = [asyncio.ensure_future(_ask(pool)) for _ in range(100)]
        assert [type(one) for one in await asyncio.gather(*crowd, return_exceptions=True)] == [bytes] * 100

    late: Script = [READ, 0.5, OK, HANG]
    with Scripted(background, *[[READ, HANG]] * 100, late) as upstream:
        _run(upstream.origin, scene, limit=100)


def test_a_large_request_goes_out_whole(background: Background) -> None:
    body = bytes(range(256)) * 20_480
    head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)

    async def scene(pool: Pool) -> None:
        response = await pool.exchange(head, body, pool.loop.time() + PATIENCE)
        assert await response.read_all(100) == b"ok"

    with Scripted(background, [READ, OK, HANG]) as upstream:
        _run(upstream.origin, scene)
        assert upstream.requests == [head + body]


def _upstreams(scene: Callable[[Upstreams], Coroutine[None, None, None]]) -> None:
    async def run() -> None:
        upstreams = Upstreams(idle_expiry=PATIENCE)
        await scene(upstreams)
        upstreams.close()
        assert upstreams.connections == 0

    uvloop.run(run())


def test_lanes_never_share_a_connection(background: Background) -> None:
    async def scene(upstreams: Upstreams) -> None:
        for lane in ("champion", "candidate", "champion_shadow", "champion"):
            await _ask(upstreams.pool(lane, upstream.origin))
        assert upstreams.connections == 3

    with Scripted(background, STEADY) as upstream:
        _upstreams(scene)
        assert upstream.connections == 3


def test_a_connection_that_idles_too_long_is_closed_by_itself(background: Background) -> None:
    async def scene() -> None:
        upstreams = Upstreams(idle_expiry=0.2)
        await _ask(upstreams.pool("champion", upstream.origin))
        assert upstreams.connections == 1
        async with asyncio.timeout(PATIENCE):
            while upstreams.connections:  # noqa: ASYNC110 - the pool tells nobody
                await asyncio.sleep(0.01)

    with Scripted(background, STEADY) as upstream:
        uvloop.run(scene())


def test_origins_that_are_no_longer_routed_are_let_go_but_not_under_an_exchange(background: Background) -> None:
    async def scene(upstreams: Upstreams) -> None:
        old, new = (upstreams.pool("champion", one.origin) for one in (leaving, staying))
        await _ask(old)
        await _ask(new)
        under_way = asyncio.ensure_future(_ask(old))
        await asyncio.sleep(0.02)
        upstreams.retain([staying.origin])
        assert upstreams.connections == 2
        assert await under_way == b"ok"
        upstreams.retain([staying.origin])
        assert upstreams.connections == 1
        assert upstreams.pool("champion", staying.origin) is new
        assert upstreams.pool("champion", leaving.origin) is not old

    with Scripted(background, [READ, OK, READ, 0.1, OK, HANG]) as leaving, Scripted(background, STEADY) as staying:
        _upstreams(scene)


async def _send(upstreams: Upstreams, *origins: Origin) -> bytes | None:
    deadline = asyncio.get_running_loop().time() + PATIENCE
    response = await upstreams.send("champion", origins, "GET", b"/", b"", b"", deadline, limit=512)
    return await response.read_all(1024)


def test_requests_are_shared_by_load_between_the_origins_of_a_version(background: Background) -> None:
    async def scene(upstreams: Upstreams) -> None:
        for _ in range(10):
            await _send(upstreams, one.origin, other.origin)
        assert [upstreams.pool("champion", server.origin).sent for server in (one, other)] == [5, 5]

    with Scripted(background, STEADY) as one, Scripted(background, STEADY) as other:
        _upstreams(scene)


def test_an_origin_that_refuses_costs_no_request_and_is_passed_over(background: Background) -> None:
    async def scene(upstreams: Upstreams) -> None:
        for _ in range(20):
            await _send(upstreams, gone, there.origin)
        assert upstreams.pool("champion", gone).ejected
        assert upstreams.pool("champion", gone).sent == 3
        assert not upstreams.pool("champion", there.origin).ejected

    with refusing() as gone, Scripted(background, STEADY) as there:
        _upstreams(scene)


def test_the_last_origin_is_asked_even_when_it_keeps_failing(background: Background) -> None:
    async def scene(upstreams: Upstreams) -> None:
        for _ in range(5):
            with pytest.raises(UpstreamRefused):
                await _send(upstreams, gone, gone_too)
        assert upstreams.pool("champion", gone).sent == 5

    with refusing() as gone, refusing() as gone_too:
        _upstreams(scene)


def test_a_stream_that_lasts_does_not_keep_its_origin_passed_over(background: Background) -> None:
    """It began before the failures, and says nothing of whether they go on."""

    async def scene(upstreams: Upstreams) -> None:
        pool = upstreams.pool("champion", origin.origin)
        stream = await pool.exchange(HEAD, b"hi", pool.loop.time() + PATIENCE)
        for _ in range(3):
            with pytest.raises(UpstreamClosed):
                await _ask(pool)
        assert pool.ejected
        async with asyncio.timeout(PATIENCE):
            while pool.ejected:  # noqa: ASYNC110 - nothing tells when the time of an ejection is over
                await asyncio.sleep(0.05)
        assert pool.under_way == 1
        stream.discard()

    begun = b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf"
    with Scripted(background, [READ, begun, HANG], [READ, RESET]) as origin:
        _upstreams(scene)
