"""The 24 faults of an upstream, what each means to a client, and a server that has them.

Each request carries an id of its own, and the good answer to it is made of that id and of the SHA-256 of the body that
arrived: a byte that was lost, altered or taken from another exchange cannot go unseen.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import product

from tests.servers import HANG, JSON, RESET, Background, Script, Scripted, Step, read_request, whole

CLOSE = Step("close the connection in order")


# What each fault's bytes mean to a client (RFC 9110, RFC 9112)


@dataclass(frozen=True)
class NoAnswer:
    """Nothing that could be passed on: it fails before the first byte, as `code`."""

    code: str


@dataclass(frozen=True)
class Broken:
    """An answer that begins, and then fails as `code`."""

    code: str


@dataclass(frozen=True)
class Lawful:
    """A whole answer, whatever follows it or stands in it; `judged` is what comparing it with the champion's says."""

    status: int
    body: bytes
    judged: str


Meaning = NoAnswer | Broken | Lawful

OK = b"HTTP/1.1 200 OK\r\n"
TEN = OK + b"content-length: 10\r\n\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
TWO, THREE = b'{"predictions": [2.0]}', b'{"predictions": [3.0]}'
NO_GZIP = b"\x1f\x8b but no more of it than this"
BOMB = gzip.compress(bytes(32 * 1024 * 1024))
A_WHILE = 0.3  # long enough for what was sent to be on its way to the client

# Without a step that ends it, the upstream keeps the connection, and waits on it for the next request.
FAULTS: dict[str, tuple[Meaning, Script]] = {
    "refuse": (NoAnswer("connect"), []),
    "reset-at-0": (NoAnswer("closed"), [RESET]),
    "reset-in-the-body": (Broken("closed"), [TEN + b"half", A_WHILE, RESET]),
    "close-at-0": (NoAnswer("closed"), [CLOSE]),
    "hang-at-0": (NoAnswer("timeout"), [HANG]),
    "hang-in-the-body": (Broken("timeout"), [TEN + b"half", HANG]),
    "a-byte-every-0.3-s": (NoAnswer("timeout"), [step for byte in OK for step in (bytes([byte]), 0.3)]),
    "tls-garbage": (NoAnswer("malformed"), [b"\x15\x03\x01\x00\x02\x02\x46"]),
    "http-0.9": (NoAnswer("malformed"), [b"<html>hello</html>", CLOSE]),
    "status-99999": (NoAnswer("malformed"), [whole(TWO, 99999)]),
    "status-999": (NoAnswer("malformed"), [whole(TWO, 999)]),
    "200-kb-header": (NoAnswer("malformed"), [whole(TWO, 200, "x-large: " + "x" * 200_000)]),
    "truncated-chunk": (Broken("closed"), [CHUNKED + b"a\r\nhalf", CLOSE]),
    # What is left over belongs to no answer, and the connection can carry none again.
    "short-content-length": (Lawful(200, TWO, "number"), [OK + b"content-length: 22\r\n\r\n" + TWO + THREE]),
    "long-content-length": (Broken("closed"), [TEN + b"half", CLOSE]),
    "surplus-second-response": (Lawful(200, TWO, "number"), [whole(TWO) + whole(THREE)]),
    "cl-and-te": (
        NoAnswer("malformed"),
        [OK + b"content-length: 22\r\ntransfer-encoding: chunked\r\n\r\n16\r\n" + TWO + b"\r\n0\r\n\r\n"],
    ),
    # A 204 ends with its head, whatever its fields say; so does a 304, whose content-length is another answer's.
    "204-with-body": (Lawful(204, b"", "unreadable"), [whole(TWO, 204)]),
    "304-with-content-length": (
        Lawful(304, b"", "not_both_succeeded"),
        [b"HTTP/1.1 304 Not Modified\r\ncontent-length: 22\r\n\r\n"],
    ),
    "5000-x-103": (NoAnswer("malformed"), [b"HTTP/1.1 103 Early Hints\r\n\r\n" * 5000 + whole(TWO)]),
    # The coding of a body is between the two ends: it goes through byte for byte.
    "bad-gzip": (Lawful(200, NO_GZIP, "unreadable"), [whole(NO_GZIP, 200, "content-encoding: gzip")]),
    "gzip-bomb": (Lawful(200, BOMB, "body_too_large"), [whole(BOMB, 200, "content-encoding: gzip")]),
    "nul-in-a-header": (NoAnswer("malformed"), [whole(TWO, 200, "x-nul: a\0b")]),
    "unsolicited-101": (
        NoAnswer("malformed"),
        [b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n\x81\x05hello"],
    ),
}
ROLES = ("champion", "shadow", "split")
SIZES = {"empty": 0, "small": 60, "10-kb": 10_000, "300-kb": 300_000}


@dataclass(frozen=True)
class Cell:
    """One fault, met in one role by one request."""

    role: str
    fault: str
    size: str

    @property
    def path(self) -> str:
        return f"/{self.role}/{self.fault}/{self.size}"

    @property
    def meaning(self) -> Meaning:
        return FAULTS[self.fault][0]


MATRIX = [Cell(*parts) for parts in product(ROLES, FAULTS, SIZES)]


# Requests, and the one answer that is good for each


def body_of(size: str, name: str) -> bytes:
    """A body that no other request has, unless it is empty."""
    if not SIZES[size]:
        return b""
    start = b'{"id": "%s", "inputs": "' % name.encode()
    return start + b"x" * max(0, SIZES[size] - len(start) - 2) + b'"}'


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def good_answer(name: str, body: bytes) -> bytes:
    """A champion's prediction of 1.0, made of the request's id and of its body and the body's digest."""
    start = b'{"predictions": [1.0], "id": "%s", "digest": "%s", "echo": ' % (name.encode(), sha256(body).encode())
    return start + (body or b"null") + b"}"


def name_in(raw: bytes) -> str:
    return raw.partition(b"x-request-id: ")[2].partition(b"\r\n")[0].decode()


class Upstream(Scripted):
    """Plays to each request the fault that its path names, and gives the good answer to every other one."""

    def __init__(self, background: Background, faulty: bool) -> None:
        self._faulty = faulty
        self.digests: dict[str, set[str]] = defaultdict(set)
        self.asked: Counter[str] = Counter()
        super().__init__(background)

    async def play(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            for step in self.script_for(await read_request(reader)):
                if step is CLOSE:
                    return
                await self.take(step, reader, writer)

    def script_for(self, raw: bytes) -> Script:
        head, _, body = raw.partition(b"\r\n\r\n")
        name = name_in(head)
        self.digests[name].add(sha256(body))
        self.asked[name] += 1
        fault = head.split(b" ", 2)[1].decode().split("/")[2]
        if self._faulty and fault in FAULTS:
            return FAULTS[fault][1]
        return [whole(good_answer(name, body), 200, ": ".join(JSON))]
