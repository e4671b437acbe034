from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable, Coroutine

import pytest
import uvloop
from uvicorn._types import ASGIReceiveEvent

from proxy.errors import (
    UpstreamBusy,
    UpstreamClosed,
    UpstreamFailed,
    UpstreamMalformed,
    UpstreamRefused,
    UpstreamTimeout,
)
from proxy.pool import Pool
from proxy.response import Response
from proxy.snapshot import Origin
from proxy.upload import Upload
from tests.proxy.exchanges import HEAD, OK, STEADY, ask
from tests.servers import HANG, READ, RESET, Background, Script, Scripted, refusing, whole
from tests.wire import PATIENCE


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
            assert await ask(pool) == b"ok"
        assert pool.size == 1

    with Scripted(background, STEADY) as upstream:
        _run(upstream.origin, scene)
        assert upstream.connections == 1
        assert upstream.requests == [HEAD + b"hi"] * 5


def test_side_by_side_each_have_their_own(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        assert await asyncio.gather(*(ask(pool) for _ in range(5))) == [b"ok"] * 5
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
        assert await ask(pool) == b"ok"
        assert await ask(pool) == b"ok"

    with Scripted(background, [READ, OK, READ, *end], [READ, OK, HANG]) as upstream:
        _run(upstream.origin, scene)
        assert upstream.connections == 2


def test_it_is_tried_once_more_and_not_again(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        assert await ask(pool) == b"ok"
        with pytest.raises(UpstreamClosed):
            await ask(pool)

    with Scripted(background, [READ, OK, READ], [READ]) as upstream:
        _run(upstream.origin, scene)
        assert upstream.connections == 2


def test_a_new_connection_is_not_tried_again(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        with pytest.raises(UpstreamClosed):
            await ask(pool)

    with Scripted(background, [READ]) as upstream:
        _run(upstream.origin, scene)
        assert upstream.connections == 1


def test_nothing_is_tried_again_once_a_byte_has_come_back(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        assert await ask(pool) == b"ok"
        with pytest.raises(UpstreamClosed):
            await ask(pool)

    with Scripted(background, [READ, OK, READ, b"H"], STEADY) as upstream:
        _run(upstream.origin, scene)
        assert upstream.connections == 1


def test_a_connection_closed_while_idle_is_never_used(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        assert await ask(pool) == b"ok"
        await asyncio.sleep(0.1)
        assert pool.size == 0
        assert await ask(pool) == b"ok"

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
        assert await ask(pool) == b"ok"
        await asyncio.sleep(0.1)
        assert await ask(pool) == b"ok"

    with Scripted(background, [READ, *surplus, HANG], [READ, OK, HANG]) as upstream:
        _run(upstream.origin, scene)
        assert upstream.connections == 2


def test_an_answer_too_many_in_one_read_poisons_nothing(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        assert await asyncio.gather(*(ask(pool) for _ in range(4))) == [b"ok"] * 4
        assert pool.size == 0

    with Scripted(background, [READ, OK + POISON, HANG]) as upstream:
        _run(upstream.origin, scene)


def test_a_malformed_answer_closes_its_connection(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        with pytest.raises(UpstreamMalformed):
            await ask(pool)
        assert pool.size == 0

    with Scripted(background, [READ, b"nonsense\r\n\r\n", HANG]) as upstream:
        _run(upstream.origin, scene)


def test_at_the_limit_an_exchange_is_not_tried(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        under_way = [asyncio.ensure_future(ask(pool)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(UpstreamBusy, match="2 connections"):
            await ask(pool)
        assert await asyncio.gather(*under_way) == [b"ok"] * 2
        assert await ask(pool) == b"ok"

    with Scripted(background, [READ, 0.1, OK, READ, OK, HANG]) as upstream:
        _run(upstream.origin, scene, limit=2)
        assert upstream.connections == 2


def test_an_upload_takes_the_place_of_an_idle_connection(background: Background) -> None:
    """It goes out on a connection of its own; at the limit the one that has idled longest is closed for it."""

    async def scene(pool: Pool) -> None:
        assert await asyncio.gather(*(ask(pool) for _ in range(2))) == [b"ok"] * 2
        assert (pool.size, pool.under_way) == (2, 0)
        response = await pool.exchange(HEAD, b"h", pool.loop.time() + PATIENCE, rest=_upload(b"i"))
        assert await response.read_all(100) == b"ok"

    with Scripted(background, [READ, 0.1, OK, READ, OK, HANG]) as upstream:
        _run(upstream.origin, scene, limit=2)
        assert upstream.connections == 3


def test_uploads_keep_to_the_limit(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        under_way = asyncio.ensure_future(ask(pool))
        await asyncio.sleep(0)
        with pytest.raises(UpstreamBusy):
            await pool.exchange(HEAD, b"h", pool.loop.time() + PATIENCE, rest=_upload(b"i"))
        assert await under_way == b"ok"

    with Scripted(background, [READ, 0.1, OK, HANG]) as upstream:
        _run(upstream.origin, scene, limit=1)


def _upload(rest: bytes) -> Upload:
    async def receive() -> ASGIReceiveEvent:
        return {"type": "http.request", "body": rest, "more_body": False}

    return Upload(receive, chunked=False, sent=1, limit=100, timeout=PATIENCE)


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
        _run(upstream.origin, scene, expiry=1.0)
        assert upstream.connections == (1 if kept else 2)


def test_a_place_is_free_as_soon_as_its_exchange_has_ended(background: Background) -> None:
    """Whatever way it ends, and with no turn of the loop between."""

    async def scene(pool: Pool) -> None:
        with pytest.raises(UpstreamTimeout):
            await ask(pool, seconds=0.05)
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
        _run(upstream.origin, scene, limit=1)


def test_an_idle_connection_that_is_too_old_leaves_its_place(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        assert await ask(pool) == b"ok"
        await asyncio.sleep(0.05)
        assert await ask(pool) == b"ok"

    with Scripted(background, STEADY) as upstream:
        _run(upstream.origin, scene, limit=1, expiry=0.01)
        assert upstream.connections == 2


def test_a_refused_connection_is_told_apart() -> None:
    async def scene(pool: Pool) -> None:
        with pytest.raises(UpstreamRefused, match="refused"):
            await ask(pool)
        assert pool.size == 0

    with refusing() as origin:
        _run(origin, scene)


def test_a_host_that_does_not_resolve_is_refused() -> None:
    async def scene(pool: Pool) -> None:
        with pytest.raises(UpstreamFailed):
            await ask(pool)
        assert pool.size == 0

    _run(Origin("no-such-host.invalid", 80), scene)


@pytest.mark.parametrize("host", ["model..svc", "a" * 64, ".svc"])
def test_a_host_whose_name_cannot_be_asked_for_is_refused_as_any_other_that_does_not_resolve(host: str) -> None:
    """Resolving it raises no OSError but a ValueError, which no fallback and no probe would expect."""

    async def scene(pool: Pool) -> None:
        with pytest.raises(UpstreamRefused):
            await ask(pool)
        assert pool.size == 0

    origin = Origin("model.svc", 80)
    object.__setattr__(origin, "host", host)  # as the rules of today would not let it be made
    _run(origin, scene)


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
        _run(upstream.origin, scene)


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
        _run(Origin("127.0.0.1", port), scene)
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
        _run(upstream.origin, scene, limit=1)


def test_a_hundred_cancelled_at_once_leave_room_for_a_hundred(background: Background) -> None:
    async def scene(pool: Pool) -> None:
        crowd = [asyncio.ensure_future(ask(pool)) for _ in range(100)]
        await asyncio.sleep(0.05)
        for task in crowd:
            task.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)
        assert pool.size == 0
        crowd = [asyncio.ensure_future(ask(pool)) for _ in range(100)]
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
