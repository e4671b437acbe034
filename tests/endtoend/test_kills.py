"""Whatever part dies under load, clients lose no more than what that part held in its own hands."""

from __future__ import annotations

import asyncio
import hashlib
import time
from pathlib import Path

import msgspec
import pytest
from uvicorn._types import ASGISendCallable

from gates.status import ModelStatus
from proxy.snapshot import Phase
from tests.endtoend.clients import Clients
from tests.endtoend.penstock import MODEL, Penstock, configuration, kill
from tests.servers import START_PATIENCE, Background, ModelServer, Seen, eventually, reply

CLIENTS = 32


async def digesting(seen: Seen, send: ASGISendCallable) -> None:
    """A model whose prediction is the digest of its input, so that no answer can pass for another's."""
    await reply(send, msgspec.json.encode({"predictions": [hashlib.sha256(seen.body).hexdigest()]}))


def answered_by(server: ModelServer) -> set[str]:
    """The ids of the clients' requests that the server got, each of which it answered."""
    return {seen["x-request-id"] for seen in server.served()}


def settings(folder: Path, champion: ModelServer, candidate: ModelServer) -> dict[str, object]:
    return configuration(
        folder / "penstock.db",
        {"40": f"http://{champion.origin.authority}", "42": f"http://{candidate.origin.authority}"},
        champion="40",
        candidate="42",
        timeout="60s",
        sticky={"header": "x-request-id"},
        plan={
            "shadow": {"min_duration": "0s", "min_requests": 100},
            "steps": [{"percent": 50, "min_duration": "1h", "min_requests": 0}, {"percent": 100}],
        },
        gates={"error_rate": {"max": "20%"}},
    )


def on_the_ramp(penstock: Penstock) -> ModelStatus | None:
    status = penstock.model()
    return status if status is not None and status.phase is Phase.RAMP and status.rollout is not None else None


@pytest.mark.timeout(600)  # starts on a busy machine
def test_no_answer_is_lost_when_control_plane_worker_and_whole_are_killed(
    background: Background, tmp_path: Path
) -> None:
    with (
        ModelServer(background, digesting) as champion,
        ModelServer(background, digesting) as candidate,
        Penstock(tmp_path, settings(tmp_path, champion, candidate), workers=2) as penstock,
    ):
        asyncio.run(kill_one_after_the_other(penstock, champion, candidate))


async def kill_one_after_the_other(penstock: Penstock, champion: ModelServer, candidate: ModelServer) -> None:
    async with Clients(penstock.port, CLIENTS) as clients:
        ledger = clients.ledger
        began = time.monotonic()
        before = await asyncio.to_thread(eventually, lambda: on_the_ramp(penstock))
        with penstock.client() as client:
            decisions = client.events(MODEL)
        await clients.answered(500)

        (control,) = penstock.children("gates")
        kill(control)
        await clients.answered(500)
        assert ledger.lost == [], "the control plane is on nobody's path"
        after = await asyncio.to_thread(eventually, lambda: on_the_ramp(penstock), START_PATIENCE)
        assert before.rollout is not None
        assert after.rollout is not None
        assert (after.rollout.id, after.rollout.position) == (before.rollout.id, before.rollout.position)
        assert after.rollout.elapsed <= before.rollout.elapsed + (time.monotonic() - began), "time that went by"
        with penstock.client() as client:
            assert client.events(MODEL) == decisions, "the audit trail is what it was"

        workers = penstock.children("proxy")
        assert len(workers) == 2
        kill(workers[0])
        await clients.answered(500)
        assert len(ledger.lost) <= CLIENTS, "only what the killed worker had in its own hands"
        await asyncio.to_thread(eventually, lambda: len(set(penstock.children("proxy")) - {workers[0]}) == 2)
        lost = set(ledger.lost)
        await clients.answered(500)

        status = await asyncio.to_thread(penstock.stop)
        assert status == 0
        at_the_stop = {name.partition(":")[0] for name in set(ledger.lost) - lost}
        answered = answered_by(champion) | answered_by(candidate)
        assert not at_the_stop & answered, "an orderly stop delivers every answer that a server gave"
        assert ledger.wrong == [], "no answer is altered, and none goes to another client"
        assert set(ledger.by_version) == {"40", "42"}
