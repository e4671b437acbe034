"""A client that writes and reads HTTP/1.1 byte for byte, for what no tame client would send or show."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

PATIENCE = 60.0  # seconds; a bound against hangs, never an expectation

Fields = Sequence[tuple[str, str]]


class CutOff(Exception):
    """The connection ended, by a close or a reset, before the answer was whole."""


@dataclass(frozen=True)
class Reply:
    """One answer as it came: names in lower case, order and repetition kept."""

    version: str
    status: int
    fields: list[tuple[str, str]]
    body: bytes
    interim: tuple[int, ...] = ()
    framing: str = "none"

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key == name]

    def __getitem__(self, name: str) -> str:
        (value,) = self.all(name)
        return value

    def __contains__(self, name: str) -> bool:
        return bool(self.all(name))


class Client:
    """One connection, over TLS where a context is given, to a server of this `name` (None names none).

    `receive_buffer` makes the kernel's small, so that a slow reader is felt by the sender."""

    def __init__(
        self,
        port: int,
        receive_buffer: int | None = None,
        tls: ssl.SSLContext | None = None,
        name: str | None = "127.0.0.1",
    ) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            try:
                self.socket = tls.wrap_socket(self.socket, server_hostname=name, suppress_ragged_eofs=False)
            except OSError:
                self.socket.close()
                raise
        self._file = self.socket.makefile("rb")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def request(self, method: str, target: str, fields: Fields = (), body: bytes = b"") -> Reply:
        self.send(request(method, target, fields, body))
        return self.read(method)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self, method: str = "GET") -> Reply:
        """The next answer, whole. Raises CutOff."""
        interim: list[int] = []
        while True:
            version, status, fields = self.read_head()
            if status >= 200:
                break
            interim.append(status)
        framing, body = self._body(method, status, dict(fields))
        return Reply(version, status, fields, body, tuple(interim), framing)

    def read_head(self) -> tuple[str, int, list[tuple[str, str]]]:
        version, status, *_ = self._line().split(" ", 2)
        fields: list[tuple[str, str]] = []
        while line := self._line():
            name, _, value = line.partition(":")
            fields.append((name.lower(), value.strip()))
        return version, int(status), fields

    def read_chunk(self) -> bytes:
        """One chunk of a chunked body; b"" is the last one."""
        size = int(self._line(), 16)
        data = self._exactly(size)
        assert self._line() == ""
        return data

    def read_some(self, most: int) -> bytes:
        return self._file.read1(most)

    def ended(self) -> bool:
        """Whether the server has closed in order: nothing more comes, and no reset."""
        try:
            return self._file.read(1) == b""
        except ConnectionResetError:
            return False

    def _body(self, method: str, status: int, fields: dict[str, str]) -> tuple[str, bytes]:
        if method == "HEAD" or status in (204, 304):
            return "none", b""
        if fields.get("transfer-encoding") == "chunked":
            chunks = []
            while chunk := self.read_chunk():
                chunks.append(chunk)
            return "chunked", b"".join(chunks)
        if "content-length" in fields:
            return "length", self._exactly(int(fields["content-length"]))
        try:
            return "close", self._file.read()
        except ConnectionResetError as error:
            raise CutOff("reset in a body without a length") from error

    def _line(self) -> str:
        try:
            line = self._file.readline()
        except ConnectionResetError as error:
            raise CutOff("reset") from error
        if not line.endswith(b"\r\n"):
            raise CutOff(f"closed after {line!r}")
        return line[:-2].decode("latin-1")

    def _exactly(self, size: int) -> bytes:
        try:
            data = self._file.read(size)
        except ConnectionResetError as error:
            raise CutOff("reset in the body") from error
        if len(data) < size:
            raise CutOff(f"{len(data)} of {size} bytes")
        return data


def request(method: str, target: str, fields: Fields = (), body: bytes = b"", version: str = "1.1") -> bytes:
    """The bytes of one request, framed by a content-length where it has a body."""
    lines = [f"{method} {target} HTTP/{version}", *(f"{name}: {value}" for name, value in fields)]
    if not any(name.lower() == "host" for name, _ in fields):
        lines.append("host: proxy.test")
    if body:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def call(port: int, method: str, target: str, fields: Fields = (), body: bytes = b"") -> Reply:
    """One request on a connection of its own."""
    with Client(port) as client:
        return client.request(method, target, fields, body)
