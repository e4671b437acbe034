"""Requests that two parsers could read in two ways, sent to a worker in a process of its own. The oracle is the origin:
what was answered 400 it never saw, and what it saw has one framing, ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import product

import pytest

from proxy.snapshot import ModelRoute, Origin, Snapshot
from tests.servers import Background, Scripted, whole
from tests.wire import Client, CutOff
from tests.workers import WorkerProcess, target

CHUNKED = b"5\r\nhello\r\n0\r\n\r\n"
HIDDEN = b"GET /hidden-%d- HTTP/1.1\r\nhost: a\r\n\r\n"

TRANSFER_ENCODINGS = [
    b"",
    b"transfer-encoding: chunked",
    b"Transfer-Encoding: Chunked",
    b"transfer-encoding:chunked",
    b"transfer-encoding: chunked ",
    b"transfer-encoding:\tchunked",
    b"transfer-encoding : chunked",
    b" transfer-encoding: chunked",
    b"transfer-encoding: xchunked",
    b"transfer-encoding: chunked, identity",
    b"transfer-encoding: identity, chunked",
    b"transfer-encoding: gzip, chunked",
    b"transfer-encoding: chunked\r\ntransfer-encoding: identity",
    b"transfer-encoding: identity\r\ntransfer-encoding: chunked",
    b"transfer-encoding:\r\n chunked",
    b"transfer-encoding: \x0bchunked",
    b'transfer-encoding: "chunked"',
    b"transfer_encoding: chunked",
    b"x: y\ntransfer-encoding: chunked",
    b"x: y\rtransfer-encoding: chunked",
    b"transfer-encoding\0: chunked",
    b"transfer-encoding: chunked\0",
    b"connection: transfer-encoding\r\ntransfer-encoding: chunked",
]
LENGTHS = [
    b"",
    b"content-length: 5",
    b"content-length: 0",
    b"content-length: 15",
    b"content-length: +5",
    b"content-length: 5\r\ncontent-length: 6",
    b"content-length: 5, 5",
    b"content-length: 0x5",
    b"content-length: 5 6",
    b"content-length: -1",
    b"content-length: 99999999999999999999",
    b"content-length:\r\n 5",
    b"content_length: 5",
]
TARGETS = [
    b"//h/a",
    b"@127.0.0.2:9/a",
    b"http://127.0.0.2:9/a",
    b"*",
    b"/a/../b",
    b"/%2e%2e/b",
    b"/a%2f..%2fb",
    b"/a%5c..",
    b"/a\0",
    b"/\xff",
    b"/%zz",
    b"",
]


class Recorder(Scripted):
    """An origin that keeps every byte of every connection, and answers each head that ends."""

    def __init__(self, background: Background) -> None:
        self.heard: list[bytes] = []
        super().__init__(background)

    async def play(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            self.heard.append(data)
            for _ in range(data.count(b"\r\n\r\n")):
                await self.take(whole(b"ok"), reader, writer)

    @property
    def everything(self) -> bytes:
        return b"".join(self.heard)


@pytest.fixture(scope="module")
def origin(background: Background) -> Iterator[Recorder]:
    with Recorder(background) as recorder:
        yield recorder


@pytest.fixture(scope="module")
def port(background: Background, origin: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    route = ModelRoute("m", "/", target("40", origin), timeout=20.0)
    folder = tmp_path_factory.mktemp("worker")
    with WorkerProcess(Origin("127.0.0.1", 9), folder, Snapshot(1, (route,))) as worker:
        yield worker.port


def attack(number: int, length: bytes, encoding: bytes) -> bytes:
    fields = b"\r\n".join(filter(None, [b"host: a", length, encoding]))
    return b"POST /attack-%d- HTTP/1.1\r\n%b\r\n\r\n" % (number, fields) + CHUNKED + HIDDEN % number


def first_status(port: int, raw: bytes) -> int:
    """The status of the first answer; the client then says no more, so that a wait for more body ends too. Behind a
    400 it stays until the worker ends the connection: by then what hides behind it would have gone on."""
    with Client(port) as client:
        client.send(raw)
        try:
            status = client.read_head()[1]
        except CutOff:
            return 0
        while status == 400 and client.read_some(65_536):
            pass
        return status


def is_ambiguous(length: bytes, encoding: bytes) -> bool:
    """Whether both a length and an encoding are there, however they are written."""
    return bool(length) and bool(encoding)


def test_neither_what_was_answered_400_nor_what_hides_behind_it_reached_the_origin(port: int, origin: Recorder) -> None:
    attacks = list(product(LENGTHS, TRANSFER_ENCODINGS))
    statuses = {}
    for number, (length, encoding) in enumerate(attacks):
        statuses[number] = first_status(port, attack(number, length, encoding))
    for number, (length, encoding) in enumerate(attacks):
        reached = b"/attack-%d-" % number in origin.everything
        assert reached == (statuses[number] == 200), (length, encoding, statuses[number])
        assert reached or b"/hidden-%d-" % number not in origin.everything, (length, encoding)
        if is_ambiguous(length, encoding):
            assert statuses[number] == 400, (length, encoding)
    assert 100 < sum(status == 400 for status in statuses.values()) <= len(attacks)


def test_no_encoding_and_no_second_length_was_ever_forwarded(port: int, origin: Recorder) -> None:
    assert first_status(port, attack(10_000, b"", b"transfer-encoding: chunked")) == 200
    heads = [part for part in origin.everything.split(b"\r\n\r\n") if b" HTTP/1.1\r\n" in part]
    assert heads
    for head in heads:
        lowered = head.lower()
        assert b"transfer-encoding" not in lowered.replace(b"_", b"-")
        assert lowered.count(b"content-length") <= 1


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_is_no_way_to_another_server(port: int, origin: Recorder, target: bytes) -> None:
    assert first_status(port, b"GET %b HTTP/1.1\r\nhost: a\r\nx-mark: elsewhere\r\n\r\n" % target) == 400
    assert b"elsewhere" not in origin.everything


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /unlawful HTTP/1.1\r\n\r\n",
        b"GET /unlawful HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        b"GET /unlawful HTTP/1.1\r\nhost: a b/../c\r\n\r\n",
        b"GET /unlawful HTTP/1.1\r\nhost: evil@x, y\r\n\r\n",
        b"GET /unlawful HTTP/1.1\r\nhost: a\r\nx: 1\r\n 2\r\n\r\n",
        b"GET /unlawful HTTP/1.1\r\nhost: a\r\nx y: 1\r\n\r\n",
        b"GET /unlawful HTTP/1.1\nhost: a\n\n",
        b"GET /unlawful HTTP/1.1\r\nhost: a\r\nx: 1\rb\r\n\r\n",
        b"GET /unlawful HTTP/3.7\r\nhost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=repr,
)
def test_what_is_no_lawful_request_reaches_nobody(port: int, origin: Recorder, raw: bytes) -> None:
    assert first_status(port, raw) == 400
    assert b"/unlawful" not in origin.everything
