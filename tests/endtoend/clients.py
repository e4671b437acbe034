"""Clients that send without pause and hold every answer against the request it is for."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field

DEADLINE = 60.0


@dataclass
class Ledger:
    """What the clients saw: `lost` are requests that were never answered, `wrong` are answers that are not theirs.

    `refused` counts attempts to connect while nobody listened: no request was sent, so none was lost."""

    answered: int = 0
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    refused: int = 0
    by_version: dict[str, int] = field(default_factory=dict)


class Clients:
    """`count` keep-alive clients. Each request carries an id of its own; the upstream echoes id and body digest."""

    def __init__(self, port: int, count: int, path: str = "/invocations") -> None:
        self.ledger = Ledger()
        self._port = port
        self._count = count
        self._path = path
        self._stopped = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Clients:
        self._tasks = [asyncio.create_task(self._client(number)) for number in range(self._count)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopped.set()
        await asyncio.gather(*self._tasks)

    async def answered(self, more: int, seconds: float = 120.0) -> None:
        """Wait until `more` further requests have been answered."""
        goal = self.ledger.answered + more
        async with asyncio.timeout(seconds):
            while self.ledger.answered < goal:  # noqa: ASYNC110 - the count moves in 32 tasks; a look is cheaper
                await asyncio.sleep(0.02)

    async def _client(self, number: int) -> None:
        sent = 0
        while not self._stopped.is_set():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                self.ledger.refused += 1
                await asyncio.sleep(0.05)
                continue
            try:
                while not self._stopped.is_set():
                    sent += 1
                    if not await self._exchange(reader, writer, f"c{number}-{sent}"):
                        break
            finally:
                writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str) -> bool:
        """One request; whether the connection may carry another."""
        body = f'{{"inputs": ["{name}"]}}'.encode()
        head = (
            f"POST {self._path} HTTP/1.1\r\nhost: test\r\nx-request-id: {name}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        try:
            writer.write(head.encode() + body)
            async with asyncio.timeout(DEADLINE):
                received = await reader.readuntil(b"\r\n\r\n")
                fields = _fields(received)
                answer = await reader.readexactly(int(fields["content-length"]))
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self.ledger.lost.append(f"{name}: {type(error).__name__}")
            return False
        if not received.startswith(b"HTTP/1.1 200 ") or hashlib.sha256(body).hexdigest().encode() not in answer:
            self.ledger.wrong.append(f"{name}: {received[:40]!r} {answer[:120]!r}")
        self.ledger.answered += 1
        version = fields.get("x-penstock-version", "")
        self.ledger.by_version[version] = self.ledger.by_version.get(version, 0) + 1
        return fields.get("connection") != "close"


def _fields(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
