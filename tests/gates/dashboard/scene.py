"""What the browser looks at: a whole `penstock serve`, two real model servers, and clients that send without end."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
import msgspec
from uvicorn._types import ASGISendCallable

from gates.adapters.tokens import hash_of, make
from tests.endtoend.penstock import configuration
from tests.servers import ModelServer, Seen, reply

RELEASE_MANAGER, VIEWER = make(), make()
CLIENTS = 4
EVERY = 0.02
REGIONS = ("east", "west")


def scoring(wrong_every: int = 0) -> Any:
    """A model that doubles its input; of the inputs, every so-manieth gets another answer."""

    async def handle(seen: Seen, send: ASGISendCallable) -> None:
        (given,) = msgspec.json.decode(seen.body)["inputs"]
        wrong = wrong_every and given % wrong_every == 0
        await reply(send, msgspec.json.encode({"predictions": [given * 2 + (7 if wrong else 0)]}))

    return handle


def settings(
    folder: Path, champion: ModelServer, good: ModelServer, bad: ModelServer, shadow_period: str
) -> dict[str, Any]:
    """A plan of seconds; the ramp waits for a person, and its second step holds for long. Two people have tokens."""
    tokens = [
        {"name": name, "role": role, "hash": hash_of(token)}
        for name, role, token in (("maria", "release_manager", RELEASE_MANAGER), ("vic", "viewer", VIEWER))
    ]
    servers = {"40": champion, "42": good, "43": bad}
    whole = configuration(
        folder / "penstock.db",
        {version: f"http://{server.origin.authority}" for version, server in servers.items()},
        champion="40",
        timeout="60s",
        sticky={"header": "x-user-id"},
        agreement={"noise_probe_percent": 20},
        slices={"region": {"header": "x-region"}},
        plan={
            "shadow": {"min_duration": "2s", "min_requests": 100},
            "steps": [
                {"percent": 10, "approval": True, "min_duration": "2s", "min_requests": 5},
                {"percent": 50, "min_duration": "1h"},
                {"percent": 100},
            ],
        },
        promotion={"production": {"shadow_period": {"min": shadow_period}}},
        gates={"error_rate": {"max": "20%"}, "agreement": {"min": "80%"}},
    )
    return {**whole, "access": {"tokens": tokens}}


class Traffic:
    """Clients in a thread of their own, from entry to exit."""

    def __init__(self, url: str) -> None:
        self.answered = 0
        self.failed: list[str] = []
        self._url = f"{url}/invocations"
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._send()), name="traffic")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stopped.set()
        self._thread.join()

    async def _send(self) -> None:
        async with httpx2.AsyncClient(timeout=90, trust_env=False) as client, asyncio.TaskGroup() as clients:
            for number in range(CLIENTS):
                clients.create_task(self._one(client, number))

    async def _one(self, client: httpx2.AsyncClient, number: int) -> None:
        sent = number
        while not self._stopped.is_set():
            sent += CLIENTS
            headers = {"x-user-id": f"user-{sent}", "x-region": REGIONS[sent % len(REGIONS)]}
            answer = await client.post(self._url, json={"inputs": [sent]}, headers=headers)
            self.answered += 1
            if answer.status_code != 200:
                self.failed.append(f"{answer.status_code}: {answer.text[:200]}")
            await asyncio.sleep(EVERY)
