from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress

import pytest
import uvloop

from proxy.errors import UpstreamClosed, UpstreamRefused
from proxy.pool import ERRING_AFTER
from proxy.snapshot import Origin
from proxy.upstream import IDLE_EXPIRY, Upstreams
from tests.proxy.exchanges import HEAD, OK, STEADY, ask
from tests.servers import HANG, READ, RESET, Background, Script, Scripted, refusing, whole
from tests.wire import PATIENCE


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
            await ask(upstreams.pool(lane, upstream.origin))
        assert upstreams.connections == 3

    with Scripted(background, STEADY) as upstream:
        _upstreams(scene)
        assert upstream.connections == 3


def test_a_connection_that_idles_too_long_is_closed_by_itself(background: Background) -> None:
    async def scene() -> None:
        upstreams = Upstreams(idle_expiry=1.0)
        await ask(upstreams.pool("champion", upstream.origin))
        assert upstreams.connections == 1
        async with asyncio.timeout(PATIENCE):
            while upstreams.connections:  # noqa: ASYNC110 - the pool tells nobody
                await asyncio.sleep(0.01)

    with Scripted(background, STEADY) as upstream:
        uvloop.run(scene())


def test_origins_that_are_no_longer_routed_are_let_go_but_not_under_an_exchange(background: Background) -> None:
    async def scene(upstreams: Upstreams) -> None:
        old, new = (upstreams.pool("champion", one.origin) for one in (leaving, staying))
        await ask(old)
        await ask(new)
        under_way = asyncio.ensure_future(ask(old))
        await asyncio.sleep(0)
        upstreams.retain([staying.origin])
        assert upstreams.connections == 2
        assert await under_way == b"ok"
        upstreams.retain([staying.origin])
        assert upstreams.connections == 1
        assert upstreams.pool("champion", staying.origin) is new
        assert upstreams.pool("champion", leaving.origin) is not old

    with Scripted(background, [READ, OK, READ, 0.5, OK, HANG]) as leaving, Scripted(background, STEADY) as staying:
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


def test_an_origin_that_comes_later_gets_its_share_and_no_more(background: Background) -> None:
    """Whatever the others have answered before it came: an empty cache is nothing to hurry into."""

    async def scene(upstreams: Upstreams) -> None:
        for _ in range(20):
            await _send(upstreams, one.origin)
        for _ in range(10):
            await _send(upstreams, one.origin, late.origin)
        assert upstreams.pool("champion", late.origin).sent == 5

    with Scripted(background, STEADY) as one, Scripted(background, STEADY) as late:
        _upstreams(scene)


def test_the_longest_that_idle_connections_are_kept_is_below_what_servers_do_by_default() -> None:
    """gunicorn closes after 2 s, uvicorn after 5 s, and neither says so in its answers."""
    assert IDLE_EXPIRY <= 1.0


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


BAD: dict[str, Script] = {
    "answers with errors": [READ, whole(b"no", 500)] * 50,
    "answers that it is overloaded": [READ, whole(b"no", 503)] * 50,
    "breaks its answers off": [READ, b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"],
}


@pytest.mark.parametrize("what", BAD)
def test_an_origin_that_answers_badly_beside_others_draws_no_traffic(background: Background, what: str) -> None:
    """It may do so in a millisecond: as the least busy one, it would be asked more often than all that are well."""

    async def scene(upstreams: Upstreams) -> None:
        for _ in range(60):
            with suppress(UpstreamClosed):
                await _send(upstreams, bad.origin, good.origin)
        assert ERRING_AFTER <= upstreams.pool("champion", bad.origin).sent < 15
        assert upstreams.passed_over() == {bad.origin}

    with Scripted(background, BAD[what]) as bad, Scripted(background, STEADY) as good:
        _upstreams(scene)


def test_where_all_answer_with_errors_none_is_passed_over_for_it(background: Background) -> None:
    async def scene(upstreams: Upstreams) -> None:
        for _ in range(20):
            await _send(upstreams, one.origin, other.origin)
        assert [upstreams.pool("champion", server.origin).sent for server in (one, other)] == [10, 10]

    errors = BAD["answers with errors"]
    with Scripted(background, errors) as one, Scripted(background, errors) as other:
        _upstreams(scene)


def test_an_origin_alone_is_well_whatever_it_answers(background: Background) -> None:
    """Its copies are sent, and each failure is counted as what it is."""

    async def scene(upstreams: Upstreams) -> None:
        for _ in range(20):
            await _send(upstreams, alone.origin)
        assert not upstreams.none_is_well("champion", (alone.origin,))
        assert upstreams.passed_over() == set()

    with Scripted(background, BAD["answers with errors"]) as alone:
        _upstreams(scene)


def test_errors_with_good_answers_between_them_say_nothing_of_an_origin(background: Background) -> None:
    async def scene(upstreams: Upstreams) -> None:
        for _ in range(40):
            await _send(upstreams, mixed.origin, good.origin)
        assert upstreams.pool("champion", mixed.origin).sent == 20

    error: Script = [READ, whole(b"no", 500)]
    answers: Script = [*[*error] * (ERRING_AFTER - 1), READ, OK]
    with Scripted(background, [*answers] * 10) as mixed, Scripted(background, STEADY) as good:
        _upstreams(scene)


def test_answers_that_nobody_wanted_to_the_end_say_nothing_of_an_origin(background: Background) -> None:
    async def scene(upstreams: Upstreams) -> None:
        pool = upstreams.pool("champion", slow.origin)
        for _ in range(2 * ERRING_AFTER):
            response = await pool.exchange(HEAD, b"hi", pool.loop.time() + PATIENCE)
            response.discard()
        assert not pool.erring

    with Scripted(background, [READ, b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf", HANG]) as slow:
        _upstreams(scene)


def test_a_stream_that_lasts_does_not_keep_its_origin_passed_over(background: Background) -> None:
    """It began before the failures, and says nothing of whether they go on."""

    async def scene(upstreams: Upstreams) -> None:
        pool = upstreams.pool("champion", origin.origin)
        stream = await pool.exchange(HEAD, b"hi", pool.loop.time() + PATIENCE)
        for _ in range(3):
            with pytest.raises(UpstreamClosed):
                await ask(pool)

        async def back() -> None:
            while pool.ejected:  # noqa: ASYNC110 - nothing tells when the time of an ejection is over
                await asyncio.sleep(0.05)

        assert pool.ejected
        await asyncio.wait_for(back(), PATIENCE)
        assert pool.under_way == 1
        stream.discard()

    begun = b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf"
    with Scripted(background, [READ, begun, HANG], [READ, RESET]) as origin:
        _upstreams(scene)
