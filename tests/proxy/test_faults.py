"""Every fault of an upstream, in every role that an upstream has, with every size of body; and races for kept
connections."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import msgspec
import pytest

from proxy.snapshot import ModelRoute, Origin, ShadowPolicy
from proxy.tally import Lane
from proxy.window import Window
from tests.proxy.faults import (
    FAULTS,
    MATRIX,
    ROLES,
    Broken,
    Cell,
    Lawful,
    Meaning,
    NoAnswer,
    Upstream,
    body_of,
    good_answer,
    sha256,
)
from tests.servers import JSON, RESET, Background, eventually, read_request, refusing
from tests.wire import PATIENCE, Client, CutOff, Reply, request
from tests.workers import LocalWorker, target

SECONDS = 3.0
"""The deadline of an exchange that is to run out of time; all others have PATIENCE."""
MARGIN = 20.0
"""Seconds that a busy machine may add to it; no exchange is as long without a fault of ours. How close to its deadline
an exchange ends is told in test_pool_ends.py, by the loop's own timers."""
AT_ONCE = 12


def cells(role: str) -> pytest.MarkDecorator:
    found = [cell for cell in MATRIX if cell.role == role]
    return pytest.mark.parametrize("cell", found, ids=[f"{cell.fault}-{cell.size}" for cell in found])


# The matrix, played


@dataclass(frozen=True)
class Asked:
    """A request, and what came of it: an answer, or None where it was cut off."""

    name: str
    body: bytes
    reply: Reply | None
    seconds: float

    def got(self, status: int, body: bytes) -> bool:
        """Whether exactly this came, whole, and as the answer to this request."""
        reply = self.reply
        if reply is None or reply.all("x-request-id") != [self.name]:
            return False
        return (reply.status, sha256(reply.body)) == (status, sha256(body))

    @property
    def is_good(self) -> bool:
        return self.got(200, good_answer(self.name, self.body))


@dataclass
class Played:
    """What a cell came to: the request that met the fault, and the good ones around it."""

    before: Asked
    met: Asked
    after: list[Asked]


@dataclass
class Matrix:
    worker: LocalWorker
    sound: Upstream
    faulty: Upstream
    routes: dict[str, ModelRoute]
    played: dict[Cell, Played] = field(default_factory=dict)

    def window(self, path: str) -> Window:
        return self.worker.window(self.routes[path])

    def play(self, cell: Cell) -> Played:
        """A good request, the one that meets the fault, and two good ones, to the same upstream and, as long as it
        lasts, on the same connection."""
        client = Client(self.worker.port)
        try:
            before = _ask(client, f"/{cell.role}/sound/{cell.size}", f"before.{_name(cell)}", cell.size)
            met = _ask(client, cell.path, _name(cell), cell.size)
            if met.reply is None:
                client.close()
                client = Client(self.worker.port)
            names = [f"after-{number}.{_name(cell)}" for number in range(2)]
            after = [_ask(client, f"/{cell.role}/sound/{cell.size}", name, cell.size) for name in names]
        finally:
            client.close()
        return Played(before, met, after)


def _name(cell: Cell) -> str:
    return cell.path[1:].replace("/", ".")


def _ask(client: Client, path: str, name: str, size: str) -> Asked:
    body = body_of(size, name)
    start = time.monotonic()
    client.send(request("POST", path, [JSON, ("x-request-id", name)], body))
    try:
        reply = client.read()
    except CutOff:
        return Asked(name, body, None, time.monotonic() - start)
    return Asked(name, body, reply, time.monotonic() - start)


def _route(role: str, path: str, sound: Origin, faulty: Origin, timeout: float) -> ModelRoute:
    good, bad = target("40", sound), target("42", faulty)
    match role:
        case "champion":
            return ModelRoute(path, path, target("40", faulty), timeout=timeout)
        case "shadow":
            return ModelRoute(path, path, good, bad, shadow=ShadowPolicy(timeout=timeout), timeout=PATIENCE)
        case _:
            no_copies = ShadowPolicy(share_bp=0)
            return ModelRoute(path, path, good, bad, ramp_bp=10_000, shadow=no_copies, timeout=timeout)


@pytest.fixture(scope="module")
def matrix(background: Background) -> Iterator[Matrix]:
    """Every cell, some at once, and counted to the end."""
    with (
        Upstream(background, faulty=False) as sound,
        Upstream(background, faulty=True) as faulty,
        refusing() as nobody,
        LocalWorker(background) as worker,
        ThreadPoolExecutor(AT_ONCE) as clients,
    ):
        worker.worker.upstreams.eject_after = sys.maxsize  # each fault is met, however many came before
        routes = [
            _route(
                cell.role,
                cell.path,
                sound.origin,
                nobody if cell.fault == "refuse" else faulty.origin,
                SECONDS if getattr(cell.meaning, "code", "") == "timeout" else PATIENCE,
            )
            for cell in MATRIX
        ]
        routes += [_route(role, f"/{role}/sound", sound.origin, faulty.origin, PATIENCE) for role in ROLES]
        worker.route(*routes)
        made = Matrix(worker, sound, faulty, {route.model: route for route in routes})
        order = random.Random(1).sample(MATRIX, len(MATRIX))
        made.played.update(zip(order, clients.map(made.play, order), strict=True))
        eventually(worker.idle)
        yield made


def test_the_matrix_is_whole() -> None:
    assert len(FAULTS) == 24
    assert len(MATRIX) == len({cell.path for cell in MATRIX}) == 24 * 3 * 4


def _error(reply: Reply) -> tuple[int, str]:
    return reply.status, msgspec.json.decode(reply.body)["error"]


@cells("champion")
def test_a_champions_fault_is_told_as_it_is_and_in_time(matrix: Matrix, cell: Cell) -> None:
    met = matrix.played[cell].met
    match cell.meaning:
        case NoAnswer(code):
            assert met.reply is not None
            assert _error(met.reply) == (504 if code == "timeout" else 502, code)
        case Broken():
            assert met.reply is None, "an answer that broke off looks whole"
        case Lawful(status, body):
            assert met.got(status, body)
            assert met.reply is not None
            assert "x-penstock-fallback" not in met.reply
    assert met.seconds < SECONDS + MARGIN
    lane = matrix.window(cell.path).champion
    assert (lane.answers, lane.errors) == (1, _failure_of(cell.meaning))


@cells("split")
def test_a_candidates_fault_is_answered_for_until_its_first_byte_and_cut_off_after_it(
    matrix: Matrix, cell: Cell
) -> None:
    met = matrix.played[cell].met
    match cell.meaning:
        case NoAnswer():
            assert met.is_good
            assert met.reply is not None
            assert met.reply["x-penstock-fallback"] == "candidate-error"
            assert met.reply["x-penstock-variant"] == "champion"
        case Broken():
            assert met.reply is None, "an answer that broke off looks whole"
        case Lawful(status, body):
            assert met.got(status, body)
            assert met.reply is not None
            assert "x-penstock-fallback" not in met.reply
    assert met.seconds < 2 * SECONDS + MARGIN, "the candidate's deadline, and then the champion's"
    window = matrix.window(cell.path)
    assert (window.candidate.answers, window.candidate.errors) == (1, _failure_of(cell.meaning))
    answered_for = int(isinstance(cell.meaning, NoAnswer))
    assert (window.fallbacks, window.champion.answers, window.champion.errors) == (answered_for, answered_for, {})


@cells("shadow")
def test_a_shadows_fault_changes_nothing_and_is_counted_once(matrix: Matrix, cell: Cell) -> None:
    met = matrix.played[cell].met
    assert met.is_good
    assert met.reply is not None
    assert met.reply["x-penstock-variant"] == "champion"
    assert "x-penstock-fallback" not in met.reply
    window = matrix.window(cell.path)
    shadow, lane, agreement = window.shadow, window.candidate_shadow, window.agreement
    assert (shadow.offered, shadow.sent, shadow.dropped, lane.answers) == (1, 1, {}, 1)
    assert (window.champion.answers, window.champion.errors, window.fallbacks) == (1, {}, 0)
    match cell.meaning:
        case NoAnswer(code) | Broken(code):
            assert (lane.errors, agreement.compared, agreement.skipped) == ({code: 1}, 0, {})
        case Lawful(judged=judged):
            assert agreement.findings | agreement.skipped == {judged: 1}
            assert agreement.compared + sum(agreement.skipped.values()) == 1
            assert lane.errors == ({"unreadable": 1} if judged == "unreadable" else {})


def _failure_of(meaning: Meaning) -> dict[str, int]:
    return {} if isinstance(meaning, Lawful) else {meaning.code: 1}


@pytest.mark.parametrize("role", ROLES)
def test_around_each_fault_every_answer_is_its_own(matrix: Matrix, role: str) -> None:
    """On the same connection of a client, and in the same pool to the upstream."""
    around = [
        one for cell, played in matrix.played.items() if cell.role == role for one in [played.before, *played.after]
    ]
    assert [one.name for one in around if not one.is_good] == []
    served_by: Lane = "candidate" if role == "split" else "champion"
    assert {one.reply["x-penstock-variant"] for one in around if one.reply is not None} == {served_by}
    window = matrix.window(f"/{role}/sound")
    assert window.lane(served_by).answers == len(around) == 3 * 24 * 4
    assert (window.lane(served_by).errors, window.fallbacks) == ({}, 0)


def test_the_copies_around_each_fault_are_answered_and_agree(matrix: Matrix) -> None:
    window = matrix.window("/shadow/sound")
    assert window.shadow.offered == window.shadow.sent + sum(window.shadow.dropped.values())
    assert window.candidate_shadow.answers == window.shadow.sent
    assert window.candidate_shadow.errors == {}
    assert window.agreement.compared + sum(window.agreement.skipped.values()) == window.shadow.sent
    assert window.agreement.compared > 0
    assert window.agreement.disagreed == 0


def test_every_body_reached_the_upstreams_as_it_was_sent(matrix: Matrix) -> None:
    sent = {
        one.name: {sha256(one.body)}
        for played in matrix.played.values()
        for one in (played.before, played.met, *played.after)
    }
    for upstream in (matrix.sound, matrix.faulty):
        assert {name: digests for name, digests in upstream.digests.items() if digests != sent[name]} == {}
    seen = matrix.sound.digests.keys() | matrix.faulty.digests.keys()
    assert sent.keys() - seen == {_name(cell) for cell in MATRIX if (cell.role, cell.fault) == ("champion", "refuse")}


def test_no_request_is_sent_twice_but_where_a_kept_connection_closed_under_it(matrix: Matrix) -> None:
    closing = {_name(cell) for cell in MATRIX if cell.fault in ("reset-at-0", "close-at-0")}
    for upstream in (matrix.sound, matrix.faulty):
        again = {name: times for name, times in upstream.asked.items() if times > 1}
        assert again.keys() <= closing
        assert set(again.values()) <= {2}


# Kept connections that close just as they are needed


class Racing(Upstream):
    """Closes each connection within a moment of its first answer: unused, or just as the next request comes. On a busy
    machine that is later, so the moments are of every order."""

    def __init__(self, background: Background) -> None:
        super().__init__(background, faulty=False)
        self.lost = 0

    async def play(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        moment = 0.0002 * 1000 ** random.Random(self.connections).random()
        for step in self.script_for(await read_request(reader)):
            await self.take(step, reader, writer)
        try:
            self.lost += bool(await asyncio.wait_for(reader.read(1), moment))
        except TimeoutError:
            return
        await self.take(RESET, reader, writer)


RACES = 2000


def test_no_client_notices_a_kept_connection_that_closes_as_its_request_comes(
    background: Background, worker: LocalWorker
) -> None:
    def race(client: int) -> list[Asked]:
        names = [f"race-{client}-{number}" for number in range(RACES // AT_ONCE + 1)]
        with Client(worker.port) as kept:
            return [_ask(kept, "/races/sound", name, "small") for name in names]

    with Racing(background) as upstream, ThreadPoolExecutor(AT_ONCE) as clients:
        route = ModelRoute("races", "/races", target("40", upstream), timeout=PATIENCE)
        worker.route(route)
        asked = [one for those in clients.map(race, range(AT_ONCE)) for one in those]
        eventually(worker.idle)
        assert len(asked) >= RACES
        assert [one.name for one in asked if not one.is_good] == []
        assert upstream.asked == Counter(one.name for one in asked), "each was answered, and none twice"
        assert upstream.lost > 50, "too few connections closed under a request"
    assert worker.window(route).champion.errors == {}
