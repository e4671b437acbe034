"""The configuration changes under load; `python -m loadtests.reload` does it two thousand times."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from loadtests.reload import WAYS, Configuration, Seen, clients, measure, penstock, reached, saved, servers
from tests.wire import PATIENCE

BAD = ("", "models: [", "models: {m: {servers: {}}}", "\0")


@pytest.mark.parametrize("way", WAYS)
def test_no_request_fails_and_each_sees_one_configuration(tmp_path: Path, way: str) -> None:
    result = asyncio.run(measure(way, 10, tmp_path))
    assert (result.failed, result.mixed) == ((), ())
    assert len(result.milliseconds) == result.changes == 10
    assert result.requests > 10


def test_no_request_fails_by_bad_files_by_reloads_that_are_asked_for_and_by_a_share_by_hand(tmp_path: Path) -> None:
    seen = asyncio.run(disturbed(tmp_path))
    assert (seen.failed, seen.mixed) == ([], [])
    assert seen.requests > 10


async def disturbed(folder: Path) -> Seen:
    file, publish = saved(folder)
    async with servers() as ports:
        configuration = Configuration(folder, ports)
        publish(configuration.text("40"))
        control = httpx2.AsyncClient(base_url=f"http://{configuration.control}", trust_env=False)
        async with (
            penstock(file, folder / "log", configuration.control) as process,
            clients(configuration.listen) as seen,
            control,
        ):
            await reached(seen, "40")
            for bad, good in zip(BAD, ("42", "40") * 2, strict=True):
                publish(bad)
                process.send_signal(signal.SIGHUP)
                assert (await control.post("/api/reload", json={})).is_error
                publish(configuration.text(good))
                process.send_signal(signal.SIGHUP)
                assert (await control.post("/api/reload", json={})).is_success
                await reached(seen, good)
            for percent, versions in ((50, {"40", "42"}), (0, {"40"})):
                publish(configuration.text("40", candidate="42", percent=percent))
                await until(lambda: set(seen.newest.values()) == versions)  # noqa: B023 - awaited within the turn
    return seen


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.002)
