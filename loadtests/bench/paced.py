"""Load at a fixed rate: `python -m loadtests.bench.paced PORT RATE SECONDS BODY_FILE ANSWER_FILE`.

Request number n is due at n / rate, and its latency counts from then, not from when a connection was free to send it:
a proxy that stalls is charged with every request that came due meanwhile (no coordinated omission). What is still
unanswered two seconds after the end is a failure, with the latency that it has reached by then.
"""

from __future__ import annotations

import gc
import json
import re
import select
import socket
import sys
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from loadtests.bench.processes import HOST

CONNECTIONS = 64
_GRACE_SECONDS = 2.0
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)\r\n").search


@dataclass(slots=True, eq=False)
class _Client:
    """One connection, and the request that is on it."""

    socket: socket.socket
    due: float = 0.0
    received: bytearray = field(default_factory=bytearray)

    def fileno(self) -> int:
        return self.socket.fileno()

    def answered(self) -> bool:
        head, gap, body = self.received.partition(b"\r\n\r\n")
        length = _LENGTH(head + b"\r\n")
        return bool(gap) and length is not None and len(body) >= int(length[1])


class Pacer:
    """Sends one request over and over, on time, and checks each answer."""

    def __init__(self, port: int, request: bytes, expected: bytes) -> None:
        self._port = port
        self._request = request
        self._expected = expected
        self._idle = deque(self._connect() for _ in range(CONNECTIONS))
        self._busy: set[_Client] = set()
        self.latencies: list[float] = []
        self.failures = 0

    def run(self, rate: float, seconds: float) -> None:
        total, sent = max(int(rate * seconds), 1), 0
        start = perf_counter()
        while (sent < total or self._busy) and perf_counter() < start + seconds + _GRACE_SECONDS:
            while sent < total and self._idle and start + sent / rate <= perf_counter():
                self._send(start + sent / rate)
                sent += 1
            pause = start + sent / rate - perf_counter() if sent < total and self._idle else _GRACE_SECONDS
            for client in select.select(self._busy, (), (), max(pause, 0.0))[0]:
                self._receive(client)
        end = perf_counter()
        late = [end - client.due for client in self._busy] + [end - start - n / rate for n in range(sent, total)]
        self.latencies += late
        self.failures += len(late)

    def close(self) -> None:
        for client in (*self._idle, *self._busy):
            client.socket.close()

    def _connect(self) -> _Client:
        connected = socket.create_connection((HOST, self._port))
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return _Client(connected)

    def _send(self, due: float) -> None:
        client = self._idle.popleft()
        client.due = due
        client.received.clear()
        self._busy.add(client)
        try:
            client.socket.sendall(self._request)
        except OSError:
            self._finish(client, ok=False)

    def _receive(self, client: _Client) -> None:
        try:
            data = client.socket.recv(65_536)
        except OSError:
            data = b""
        client.received += data
        if not data:
            self._finish(client, ok=False)
        elif client.answered():
            received = client.received
            self._finish(client, received.startswith(b"HTTP/1.1 200 ") and received.endswith(self._expected))

    def _finish(self, client: _Client, ok: bool) -> None:
        self.latencies.append(perf_counter() - client.due)
        self._busy.discard(client)
        if not ok:
            self.failures += 1
            client.socket.close()
            client = self._connect()
        self._idle.append(client)


def main(port: int, rate: float, seconds: float, body: bytes, answer: bytes) -> None:
    head = f"POST /m0/invocations HTTP/1.1\r\nhost: {HOST}:{port}\r\ncontent-type: application/json\r\n"
    pacer = Pacer(port, f"{head}content-length: {len(body)}\r\n\r\n".encode() + body, b"\r\n\r\n" + answer)
    gc.disable()  # a collection here would be charged to the proxy
    pacer.run(rate, seconds)
    pacer.close()
    latencies = sorted(pacer.latencies)
    quantiles = {name: latencies[int(q * (len(latencies) - 1))] for name, q in _QUANTILES.items()}
    print(json.dumps({"requests": len(latencies), "seconds": seconds, **quantiles, "failures": pacer.failures}))


_QUANTILES = {"p50": 0.5, "p99": 0.99, "p999": 0.999}

if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), *(Path(name).read_bytes() for name in sys.argv[4:6]))
