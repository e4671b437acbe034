from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop

from proxy import snapshot
from proxy.errors import UpstreamRefused
from proxy.link import Link
from proxy.local import Holder
from proxy.push import decode_push
from proxy.snapshot import ModelRoute, Origin, Snapshot, Target
from proxy.window import Window
from proxy.windows import MOST_IN_A_PUSH, Windows

ROUTE = ModelRoute("m", "/", Target("1", (Origin("127.0.0.1", 8001),)))
FIRST = Snapshot(1, (ROUTE,))
SECOND = Snapshot(2, (replace(ROUTE, epoch=2),))
AT_ONCE = MOST_IN_A_PUSH // Window().lanes
MANY = [replace(ROUTE, model=f"m{number}", path_prefix=f"/m{number}") for number in range(2 * AT_ONCE + 1)]


class Recorded:
    """The control plane as the port sees it: answers as told, and keeps what it was sent."""

    def __init__(self, *answers: tuple[int, bytes] | Exception) -> None:
        self.answers = list(answers)
        self.sent: list[tuple[str, str, bytes]] = []
        self.exhausted = asyncio.Event()

    async def __call__(self, method: str, target: str, body: bytes, timeout: float) -> tuple[int, bytes]:
        self.sent.append((method, target, body))
        if not self.answers:
            self.exhausted.set()
            await asyncio.Event().wait()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Parts:
    """A link with its surroundings."""

    def __init__(self, control: Recorded, cache: Path | None = None) -> None:
        self.control = control
        self.holder = Holder()
        self.windows = Windows("w-1")
        self.adopted: list[Snapshot] = []
        self.link = Link(control, self.holder, self.windows, cache, self.adopted.append)

    def pull(self) -> None:
        """Pull until the control plane has nothing left to say."""

        async def pull() -> None:
            task = asyncio.ensure_future(self.link.pull())
            await self.control.exhausted.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        uvloop.run(pull())


def _ok(published: Snapshot) -> tuple[int, bytes]:
    return 200, snapshot.encode(published)


# Snapshots in


def test_snapshots_are_taken_as_they_come_and_each_poll_acknowledges_the_last() -> None:
    parts = Parts(Recorded(_ok(FIRST), (204, b""), _ok(SECOND)))
    parts.pull()
    assert parts.adopted == [FIRST, SECOND]
    assert parts.holder.current == SECOND
    assert [target for _, target, _ in parts.control.sent] == [
        "/link/snapshot?worker=w-1&generation=0",
        "/link/snapshot?worker=w-1&generation=1",
        "/link/snapshot?worker=w-1&generation=1",
        "/link/snapshot?worker=w-1&generation=2",
    ]


@pytest.mark.parametrize(
    "trouble",
    [
        UpstreamRefused("nobody there"),
        (500, b""),
        (404, b""),
        (200, b""),
        (200, b"{}"),
        (200, b"[" * 100_000),
        (200, snapshot.encode(SECOND)[:-1]),
    ],
    ids=["refused", "500", "404", "empty", "no snapshot", "nested beyond reason", "cut"],
)
def test_the_last_good_snapshot_stays_whatever_the_control_plane_says(
    trouble: tuple[int, bytes] | Exception, tmp_path: Path
) -> None:
    parts = Parts(Recorded(_ok(FIRST), trouble), tmp_path / "snapshot.json")
    parts.pull()
    assert parts.holder.current == FIRST
    assert snapshot.decode((tmp_path / "snapshot.json").read_bytes()) == FIRST
    again = Parts(Recorded(trouble, _ok(SECOND)))
    again.pull()
    assert again.holder.current == SECOND


def test_each_snapshot_is_kept_on_disk_whole_and_alone(tmp_path: Path) -> None:
    cache = tmp_path / "snapshot.json"
    Parts(Recorded(_ok(FIRST), _ok(SECOND)), cache).pull()
    assert snapshot.decode(cache.read_bytes()) == SECOND
    assert list(tmp_path.iterdir()) == [cache]


def test_the_cache_is_replaced_and_never_written_over(tmp_path: Path) -> None:
    """Who has opened it before reads what it was, whole."""
    cache = tmp_path / "snapshot.json"
    cache.write_bytes(snapshot.encode(FIRST))
    with cache.open("rb") as opened:
        Parts(Recorded(_ok(SECOND)), cache).pull()
        assert snapshot.decode(opened.read()) == FIRST
    assert snapshot.decode(cache.read_bytes()) == SECOND


def test_a_cache_that_cannot_be_written_hinders_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    parts = Parts(Recorded(_ok(FIRST), _ok(SECOND)), tmp_path / "absent" / "snapshot.json")
    with caplog.at_level(logging.WARNING):
        parts.pull()
    assert parts.holder.current == SECOND
    assert "not kept" in caplog.text


def test_a_restart_begins_from_the_cache(tmp_path: Path) -> None:
    cache = tmp_path / "snapshot.json"
    cache.write_bytes(snapshot.encode(SECOND))
    parts = Parts(Recorded(), cache)
    parts.link.restore()
    assert parts.holder.current == SECOND
    assert parts.adopted == [SECOND]


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"null", b"\xff\xfe", b"[" * 100_000, snapshot.encode(FIRST)[:-1], b'{"generation": -1, "routes": []}'],
    ids=["empty", "cut", "null", "not utf-8", "nested beyond reason", "one byte short", "unlawful"],
)
def test_a_damaged_cache_is_passed_over(tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    cache = tmp_path / "snapshot.json"
    cache.write_bytes(damage)
    parts = Parts(Recorded(_ok(FIRST)), cache)
    with caplog.at_level(logging.WARNING):
        parts.link.restore()
    assert parts.adopted == []
    assert str(cache) in caplog.text
    parts.pull()
    assert parts.holder.current == FIRST
    assert snapshot.decode(cache.read_bytes()) == FIRST


def test_no_cache_or_one_that_is_a_folder_is_passed_over(tmp_path: Path) -> None:
    for cache in (None, tmp_path / "absent", tmp_path):
        parts = Parts(Recorded(), cache)
        parts.link.restore()
        assert parts.holder.current is None


# Windows out


def count(windows: Windows, times: int = 1) -> None:
    for _ in range(times):
        windows.of(ROUTE).champion.observe(200, 0.001)


@pytest.mark.parametrize("answer", [UpstreamRefused("nobody there"), (500, b""), (200, b"")])
def test_windows_that_were_not_received_are_pushed_again(answer: tuple[int, bytes] | Exception) -> None:
    parts = Parts(Recorded(answer, (204, b"")))
    count(parts.windows)
    states = []
    for _ in range(2):
        uvloop.run(parts.link.push_round())
        states.append(parts.windows.changed)
        count(parts.windows)
    assert states == [True, False]
    first, second = (decode_push(body) for _, _, body in parts.control.sent)
    assert (first.sequence, second.sequence) == (1, 2)
    assert second.samples[0].window.champion.answers == 2


def _samples(control: Recorded) -> list[list[str]]:
    return [[sample.model for sample in decode_push(body).samples] for _, _, body in control.sent]


def test_a_round_brings_all_that_had_changed_and_lets_others_run_between_its_pushes() -> None:
    parts = Parts(Recorded((204, b""), (204, b""), (204, b"")))
    for route in MANY:
        parts.windows.of(route)

    seen: set[int] = set()

    async def beside_others() -> None:
        pushing = asyncio.ensure_future(parts.link.push_round())
        while not pushing.done():
            seen.add(len(parts.control.sent))
            await asyncio.sleep(0)

    uvloop.run(beside_others())
    sent = _samples(parts.control)
    assert [len(models) for models in sent] == [AT_ONCE, AT_ONCE, 1]
    assert {model for models in sent for model in models} == {route.model for route in MANY}
    assert seen >= {1, 2}


def test_what_changes_during_a_round_waits_for_the_next() -> None:
    parts = Parts(Recorded())

    async def busy(method: str, target: str, body: bytes, timeout: float) -> tuple[int, bytes]:
        parts.control.sent.append((method, target, body))
        for route in MANY:
            parts.windows.of(route)
        return 204, b""

    link = Link(busy, parts.holder, parts.windows, None, parts.adopted.append)
    parts.windows.of(ROUTE)
    uvloop.run(link.push_round())
    assert (_samples(parts.control), parts.windows.waiting) == ([["m"]], len(MANY))


def test_a_round_ends_with_the_first_push_that_is_not_received() -> None:
    parts = Parts(Recorded((204, b""), (503, b""), (204, b""), (204, b"")))
    for route in MANY:
        parts.windows.of(route)
    lost: list[int] = []
    for _ in range(2):
        uvloop.run(parts.link.push_round())
        lost.append(parts.windows.waiting)
    assert lost == [len(MANY) - AT_ONCE, 0]
    first, _, *again = _samples(parts.control)
    assert {model for models in (first, *again) for model in models} == {route.model for route in MANY}


def test_a_push_that_is_cancelled_is_pushed_again() -> None:
    parts = Parts(Recorded())
    count(parts.windows)

    async def cancelled() -> None:
        task = asyncio.ensure_future(parts.link.push_round())
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    uvloop.run(cancelled())
    assert len(parts.control.sent) == 1
    assert parts.windows.changed
