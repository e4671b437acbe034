"""A configuration that changes under load, again and again: `python -m loadtests.reload`.

A real `penstock serve` with two workers, and clients that send without pause. Each change makes the other of two
versions the champion, by saving the file anew or, as the kubelet does, by swapping the link `..data`. Measured is the
time from the change to the end of the last request that was begun under the configuration before; a request that
fails, or whose header and body name two versions, is counted.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Annotated

import httpx2
import typer

from loadtests.reaction import quantile
from tests.ports import claimed_port

CLIENTS = 8
WORKERS = 2
VERSIONS = ("40", "42")
LIMIT_MS = 250.0
GIVE_UP_SECONDS = 30.0
PAUSE_SECONDS = 0.02
"""Between a client's requests: the load is steady, and leaves the machine something for the measuring."""
REQUEST = b"POST /invocations HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: 3\r\n\r\n[1]"

Publish = Callable[[str], None]


@dataclass
class Seen:
    """What the clients saw. `old` is, of each client, the end of its last request that the version before answered."""

    requests: int = 0
    failed: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)
    newest: dict[int, str] = field(default_factory=dict)
    turned: dict[int, float] = field(default_factory=dict)

    def answer(self, client: int, header: str, body: str, at: float) -> None:
        self.requests += 1
        if header != body:
            self.mixed.append(f"{header} by its header, {body} by its body")
        if self.newest.get(client) != body:
            self.newest[client], self.turned[client] = body, at


@dataclass(frozen=True, slots=True)
class Result:
    """`milliseconds` has, for each change, the time until every client was answered by it."""

    changes: int
    requests: int
    failed: tuple[str, ...]
    mixed: tuple[str, ...]
    milliseconds: tuple[float, ...]


def saved(folder: Path) -> tuple[Path, Publish]:
    """A file that is written anew beside itself and renamed, as editors do."""
    file = folder / "penstock.yaml"

    def publish(text: str) -> None:
        draft = folder / "draft~"
        draft.write_text(text)
        draft.replace(file)

    return file, publish


def mounted(folder: Path) -> tuple[Path, Publish]:
    """A file of a mounted ConfigMap: a link into `..data`, which is a link to the folder of the present version."""
    file = folder / "penstock.yaml"
    count = 0

    def publish(text: str) -> None:
        nonlocal count
        count += 1
        version = folder / f"..version_{count}"
        version.mkdir()
        (version / "penstock.yaml").write_text(text)
        before = os.path.realpath(folder / "..data")
        (folder / "..data_tmp").symlink_to(version.name)
        (folder / "..data_tmp").replace(folder / "..data")
        if count == 1:
            file.symlink_to("..data/penstock.yaml")
        else:
            (Path(before) / "penstock.yaml").unlink()
            Path(before).rmdir()

    return file, publish


class Configuration:
    """Of one model, and what changes of it."""

    def __init__(self, state: Path, ports: dict[str, int]) -> None:
        self.listen, self.control = f"127.0.0.1:{claimed_port()}", f"127.0.0.1:{claimed_port()}"
        self._store = f"sqlite:///{state}/penstock.db"
        self._servers = {version: [f"http://127.0.0.1:{port}"] for version, port in ports.items()}

    def text(self, champion: str, **changes: object) -> str:
        models = {"m": {"servers": self._servers, "champion": champion, **changes}}
        return json.dumps({"listen": self.listen, "control": self.control, "store": self._store, "models": models})


WAYS = {"file": saved, "symlink": mounted}


async def measure(way: str, changes: int, folder: Path) -> Result:
    """Change the configuration so often, each time when the last change has reached every client."""
    config, state = folder / "config", folder / "state"
    config.mkdir(parents=True)
    state.mkdir()
    file, publish = WAYS[way](config)
    async with servers() as ports:
        configuration = Configuration(state, ports)
        publish(configuration.text(VERSIONS[0]))
        async with penstock(file, folder / "log", configuration.control), clients(configuration.listen) as seen:
            await reached(seen, VERSIONS[0])
            times = [await _change(seen, publish, configuration, VERSIONS[(turn + 1) % 2]) for turn in range(changes)]
    return Result(changes, seen.requests, tuple(seen.failed), tuple(seen.mixed), tuple(times))


async def _change(seen: Seen, publish: Publish, configuration: Configuration, version: str) -> float:
    text = configuration.text(version)
    began = perf_counter()
    publish(text)
    await reached(seen, version)
    return 1000 * (max(seen.turned.values()) - began)


async def reached(seen: Seen, version: str) -> None:
    async with asyncio.timeout(GIVE_UP_SECONDS):
        while len(seen.newest) < CLIENTS or set(seen.newest.values()) != {version}:  # noqa: ASYNC110 - as sleep goes
            await asyncio.sleep(0.002)


@asynccontextmanager
async def servers() -> AsyncIterator[dict[str, int]]:
    servers = {version: await asyncio.start_server(_serving(version), "127.0.0.1", 0) for version in VERSIONS}
    try:
        yield {version: server.sockets[0].getsockname()[1] for version, server in servers.items()}
    finally:
        for server in servers.values():
            server.close()


def _serving(version: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    body = json.dumps({"predictions": [version]}).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                received = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(_field(received, "content-length")))
                writer.write(head + body)
        except (OSError, asyncio.IncompleteReadError):
            writer.close()

    return serve


@asynccontextmanager
async def penstock(file: Path, log: Path, control: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Up when each of its workers routes."""
    command = [sys.executable, "-m", "gates", "serve", "--config", str(file), "--workers", str(WORKERS)]
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(*command, stdout=out, stderr=out)
    try:
        async with asyncio.timeout(60), httpx2.AsyncClient(trust_env=False) as client:
            while not await _routing(client, f"http://{control}/api/status"):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def _routing(client: httpx2.AsyncClient, url: str) -> bool:
    try:
        answer = await client.get(url)
    except httpx2.HTTPError:
        return False
    return answer.status_code == 200 and len([held for held in answer.json()["workers"].values() if held]) == WORKERS


@asynccontextmanager
async def clients(listen: str) -> AsyncIterator[Seen]:
    seen, stop = Seen(), asyncio.Event()
    tasks = [asyncio.create_task(_client(number, listen, seen, stop)) for number in range(CLIENTS)]
    try:
        yield seen
    finally:
        stop.set()
        await asyncio.gather(*tasks)


async def _client(number: int, listen: str, seen: Seen, stop: asyncio.Event) -> None:
    """A keep-alive connection that is never to be closed, and never to fail."""
    host, _, port = listen.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        while not stop.is_set():
            writer.write(REQUEST)
            async with asyncio.timeout(GIVE_UP_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(int(_field(head, "content-length")))
            if not head.startswith(b"HTTP/1.1 200 "):
                seen.failed.append(f"{head.splitlines()[0].decode('latin-1')} {body[:200].decode('latin-1')}")
                continue
            told = json.loads(body)["predictions"][0]
            seen.answer(number, _field(head, "x-penstock-version"), told, perf_counter())
            await asyncio.sleep(PAUSE_SECONDS)
    except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
        seen.failed.append(f"client {number}: {type(error).__name__}")
    finally:
        writer.close()


def _field(head: bytes, name: str) -> str:
    lines = (line.partition(":") for line in head.decode("latin-1").split("\r\n"))
    return next(value.strip() for key, _, value in lines if key.lower() == name)


def main(
    changes: Annotated[int, typer.Option(help="How many by each way.")] = 1000,
    output: Annotated[Path | None, typer.Option(help="The results, as JSON.")] = None,
) -> None:
    """Change the configuration of a running proxy by saving its file and by swapping its ConfigMap, and tell what the
    clients saw. The exit status is 1 where a request failed, saw two configurations, or p99 is over the limit."""
    good, results = True, {}
    for way in WAYS:
        with TemporaryDirectory() as folder:
            result = asyncio.run(measure(way, changes, Path(folder)))
        p50, p99 = (quantile(list(result.milliseconds), q) for q in (0.5, 0.99))
        print(
            f"{way}: {result.changes} changes, {result.requests} requests, {len(result.failed)} failed, "
            f"{len(result.mixed)} saw two configurations; in force after p50 {p50:.0f} ms, p99 {p99:.0f} ms, "
            f"at most {max(result.milliseconds):.0f} ms"
        )
        for said, number in Counter((*result.failed, *result.mixed)).most_common(5):
            print(f"  {number} x {said}")
        results[way] = {"changes": changes, "requests": result.requests, "p50_ms": p50, "p99_ms": p99}
        good &= not result.failed and not result.mixed and p99 <= LIMIT_MS
    if output is not None:
        output.write_text(json.dumps(results, indent=2) + "\n")
    sys.exit(not good)


if __name__ == "__main__":
    typer.run(main)
