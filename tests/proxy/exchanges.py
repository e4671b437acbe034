"""Exchanges on a pool, without a worker around it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine

import uvloop

from proxy.pool import Pool
from proxy.snapshot import Origin
from tests.servers import READ, Script, whole
from tests.wire import PATIENCE

HEAD = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n"
OK = whole(b"ok")
STEADY: Script = [READ, OK] * 50


async def ask(pool: Pool, seconds: float = PATIENCE) -> bytes:
    """One exchange, read whole."""
    response = await pool.exchange(HEAD, b"hi", pool.loop.time() + seconds)
    body = await response.read_all(1 << 20)
    assert body is not None
    return body


def in_pool(
    origin: Origin, scene: Callable[[Pool], Coroutine[None, None, None]], limit: int = 8, expiry: float = PATIENCE
) -> None:
    """A scene on a pool of its own, which closes all that it has left open."""

    async def run() -> None:
        pool = Pool(origin, limit, expiry)
        await scene(pool)
        pool.close()
        assert pool.size == 0

    uvloop.run(run())
