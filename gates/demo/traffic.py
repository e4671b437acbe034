"""Traffic for the demo: clients that send held-out rows at a steady pace, and keep count of what came back."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import httpx2

from gates.demo.training import TrainedVersions

CLIENTS = 8
EVERY = 0.12
"""Seconds from one request of a client to its next, if the answer is there by then: two small cores keep up with it."""
USERS = 5_000
TIMEOUT = 10.0


@dataclass(slots=True)
class Tally:
    """What the clients saw. A failure is a request without an answer, or with any but a 200 that holds a prediction.

    `by_version` counts answers by the model version that the proxy says gave them."""

    requests: int = 0
    failures: int = 0
    fallbacks: int = 0
    by_version: Counter[str] = field(default_factory=Counter)
    last_failure: str = ""

    def fail(self, cause: str) -> None:
        self.failures += 1
        self.last_failure = cause


class Traffic:
    """Clients in a thread of their own, from entry to exit of the context; a request under way is always waited for."""

    def __init__(self, url: str, versions: TrainedVersions) -> None:
        self.tally = Tally()
        self._url = url
        self._versions = versions
        self._draw = random.Random(7)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._send()), name="traffic")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()

    async def _send(self) -> None:
        limits = httpx2.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
        async with (
            httpx2.AsyncClient(timeout=TIMEOUT, trust_env=False, limits=limits) as client,
            asyncio.TaskGroup() as clients,
        ):
            for _ in range(CLIENTS):
                clients.create_task(self._one_client(client))

    async def _one_client(self, client: httpx2.AsyncClient) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + self._draw.random() * EVERY
        while not self._stopped.is_set():
            await asyncio.sleep(due - loop.time())
            due = max(due + EVERY, loop.time())
            body = self._versions.body(self._draw.randrange(len(self._versions.rows)))
            await self._one_request(client, body, f"user-{self._draw.randrange(USERS)}")

    async def _one_request(self, client: httpx2.AsyncClient, body: bytes, user: str) -> None:
        tally = self.tally
        headers = {"content-type": "application/json", "x-user-id": user}
        try:
            answer = await client.post(self._url, content=body, headers=headers)
            predicted = answer.status_code == 200 and len(answer.json()["predictions"]) == 1
        except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
            tally.fail(f"{type(error).__name__}: {error}")
        else:
            if not predicted:
                tally.fail(f"status {answer.status_code}: {answer.text[:200]}")
            tally.by_version[answer.headers.get("x-penstock-version", "unknown")] += 1
            tally.fallbacks += "x-penstock-fallback" in answer.headers
        tally.requests += 1
