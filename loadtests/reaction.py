"""How soon a candidate that begins to fail loses its traffic: `python -m loadtests.reaction`.

A real `penstock serve` with two workers, 100 requests a second, a tenth of them to the candidate, and the gates of
`config/gates/default.yaml`. At some moment the candidate starts to answer half of what it gets with 500. Measured is
the time from then to the last request that ever reaches it, client's or copy, so that no worker is forgotten.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Annotated

import httpx2
import typer
import yaml

from gates.adapters.modelserver import free_port
from gates.client import ControlClient
from gates.state import AuditRow
from gates.status import ModelStatus
from proxy.snapshot import Phase

MODEL, CHAMPION, CANDIDATE = "fraud_detector", "40", "42"
GATES = Path(__file__).parents[1] / "config" / "gates" / "default.yaml"
RATE = 100.0
HEALTHY_SECONDS = 2.0
QUIET_SECONDS = 0.75
GIVE_UP_SECONDS = 20.0
WORKERS = 2
REQUEST = b"POST /invocations HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: 3\r\n\r\n[1]"
ANSWER = b'{"predictions": [0.5]}'


@dataclass(frozen=True, slots=True)
class Run:
    """One trial. `seconds` is the time to the last request that reached the candidate, `decided` the one in which the
    control plane had rolled back; `bad` are the failed answers that clients got, `failed` those that the candidate gave
    to anyone."""

    seconds: float
    decided: float
    failed: int
    bad: int
    gate: str
    reason: str


@dataclass
class Server:
    """A plain model server. While it is `failing`, half of its answers are a 500, at random."""

    failing: bool = False
    failed: int = 0
    last: float = 0.0
    chance: random.Random = field(default_factory=lambda: random.Random(7))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(_length(head))
                self.last = perf_counter()
                bad = self.failing and self.chance.random() < 0.5
                self.failed += bad
                writer.write(_answer(500 if bad else 200))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


class Traffic:
    """Requests at a fixed rate, each on time whatever became of the others. `bad` counts answers that are no 200."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answered = self.bad = 0
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def run(self) -> None:
        start, sent = perf_counter(), 0
        async with asyncio.TaskGroup() as requests:
            while True:
                await asyncio.sleep(max(start + sent / RATE - perf_counter(), 0.0))
                requests.create_task(self._exchange())
                sent += 1

    async def _exchange(self) -> None:
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(REQUEST)
        try:
            received = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(_length(received))
        except (asyncio.IncompleteReadError, ConnectionError):
            received = b""
        self.answered += 1
        self.bad += not received.startswith(b"HTTP/1.1 200 ")
        if received:
            self._idle.append((reader, writer))
        else:
            writer.close()


@dataclass
class Scene:
    """All that runs."""

    candidate: Server
    traffic: Traffic
    client: ControlClient

    async def trial(self, number: int) -> Run:
        """Start a rollout, take it to the first step, let it be healthy for a while, and break the candidate."""
        await asyncio.to_thread(self.client.start, MODEL, CANDIDATE, "reaction", f"run {number}")
        await asyncio.to_thread(self.client.ask, MODEL, "advance", "reaction", "")
        await asyncio.sleep(HEALTHY_SECONDS + random.Random(number).random())
        assert (await self._status()).phase is Phase.RAMP, "the candidate is healthy yet"
        begun, failed, bad = perf_counter(), self.candidate.failed, self.traffic.bad
        self.candidate.failing = True
        decided = await self._rolled_back(begun)
        await asyncio.sleep(QUIET_SECONDS)
        self.candidate.failing = False
        row = await self._record()
        status = (await self._status()).rollout
        assert status is not None
        return Run(
            round(self.candidate.last - begun, 3),
            round(decided - begun, 3),
            self.candidate.failed - failed,
            self.traffic.bad - bad,
            status.ended_by_gate,
            row.reason,
        )

    async def _rolled_back(self, begun: float) -> float:
        while (await self._status()).phase is not Phase.ROLLED_BACK:
            if perf_counter() > begun + GIVE_UP_SECONDS:
                raise TimeoutError(f"not rolled back after {GIVE_UP_SECONDS:g} s")
            await asyncio.sleep(0.02)
        return perf_counter()

    async def _status(self) -> ModelStatus:
        return await asyncio.to_thread(self.client.model, MODEL)

    async def _record(self) -> AuditRow:
        newest = (await asyncio.to_thread(self.client.events, MODEL))[0]
        assert newest.event == "roll_back", newest
        return newest


async def measure(runs: int, copied: int, folder: Path) -> list[Run]:
    """`copied` is the percentage of the requests of which the other version gets a copy."""
    async with _scene(folder, copied) as scene:
        return [await scene.trial(number) for number in range(runs)]


@asynccontextmanager
async def _scene(folder: Path, copied: int) -> AsyncIterator[Scene]:
    """Two model servers, `penstock serve` before them, and clients before that."""
    servers = {CHAMPION: Server(), CANDIDATE: Server()}
    listening = {version: await asyncio.start_server(each.serve, "127.0.0.1", 0) for version, each in servers.items()}
    ports = {version: each.sockets[0].getsockname()[1] for version, each in listening.items()}
    settings = configuration(folder, ports, copied)
    config, log = folder / "penstock.yaml", folder / "penstock.log"
    config.write_text(yaml.safe_dump(settings, sort_keys=False))
    command = ("-m", "gates", "serve", "--config", str(config), "--workers", str(WORKERS))
    with log.open("wb") as output:
        penstock = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=output, stderr=output)
    port = int(str(settings["listen"]).rpartition(":")[2])
    load: asyncio.Task[None] | None = None
    try:
        await _ready(port)
        traffic = Traffic(port)
        load = asyncio.create_task(traffic.run())
        with ControlClient(f"http://{settings['control']}") as client:
            yield Scene(servers[CANDIDATE], traffic, client)
    finally:
        if load is not None:
            load.cancel()
            await asyncio.gather(load, return_exceptions=True)
        if penstock.returncode is None:
            penstock.send_signal(signal.SIGTERM)
        await penstock.wait()
        for each in listening.values():
            each.close()


def configuration(folder: Path, ports: dict[str, int], copied: int) -> dict[str, object]:
    patient = {"min_duration": "1h", "min_requests": 0}
    return {
        "listen": f"127.0.0.1:{free_port()}",
        "control": f"127.0.0.1:{free_port()}",
        "store": f"sqlite:///{folder / 'penstock.db'}",
        "models": {
            MODEL: {
                "servers": {version: [f"http://127.0.0.1:{port}"] for version, port in ports.items()},
                "champion": CHAMPION,
                "shadow": {"percent": copied},
                "plan": {
                    "shadow": patient,
                    "steps": [{"percent": 10, **patient}, {"percent": 100}],
                    "cool_down": "0s",
                },
                "gates": yaml.safe_load(GATES.read_text()),
            }
        },
    }


async def _ready(port: int) -> None:
    for _ in range(600):
        try:
            if (await asyncio.to_thread(httpx2.get, f"http://127.0.0.1:{port}/-/ready")).status_code == 200:
                return
        except httpx2.HTTPError:
            pass
        await asyncio.sleep(0.1)
    raise TimeoutError("penstock serve does not get ready")


def _length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0] or 0)


def _answer(status: int) -> bytes:
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(ANSWER)}\r\n\r\n"
    return head.encode() + ANSWER


def quantile(values: list[float], q: float) -> float:
    """The smallest of the values that a part q of them does not exceed."""
    return sorted(values)[max(math.ceil(q * len(values)), 1) - 1]


def main(
    runs: Annotated[int, typer.Option(min=1, help="How often the candidate breaks.")] = 20,
    copied: Annotated[int, typer.Option(min=0, max=100, help="The percentage of the requests that is copied.")] = 100,
    out: Annotated[Path | None, typer.Option(help="A JSON file for the figures.")] = None,
) -> None:
    """Break a candidate that serves a tenth of 100 requests/s, and time how soon nothing is routed to it any more."""
    with TemporaryDirectory() as folder:
        measured = asyncio.run(measure(runs, copied, Path(folder)))
    seconds = [run.seconds for run in measured]
    summary = {f"p{q * 100:g}": quantile(seconds, q) for q in (0.5, 0.95, 1)}
    for run in measured:
        print(f"{run.seconds:6.3f} s  {run.failed:3} failed, {run.bad} of them at clients  {run.reason}")
    print(", ".join(f"{name} {value:.3f} s" for name, value in summary.items()))
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps({"seconds": summary, "runs": [asdict(run) for run in measured]}, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
