"""Listening sockets, bound once and passed on to the processes that accept from them."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket

from gates.exits import Exit, Failure

# A burst waits here rather than being refused, also while the process that accepts is being replaced.
BACKLOG = 2048

_REMEDIES = {
    errno.EADDRINUSE: "stop the process that listens there, or choose another port",
    errno.EACCES: "choose a port above 1023, or run with the right to use this one",
    errno.EADDRNOTAVAIL: "choose an address of this machine",
}


def listen(address: str) -> socket.socket:
    """Bind HOST:PORT ([HOST]:PORT for IPv6; port 0 for any free one) and listen. Raises Failure."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise Failure(f"cannot listen on {address}: expected HOST:PORT, such as 127.0.0.1:8080", Exit.USAGE)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, int(port)), family=family, backlog=BACKLOG)
    except OSError as error:
        number = error.errno or 0
        reason = os.strerror(number) if number in errno.errorcode else f"{host} is not known here"
        remedy = _REMEDIES.get(number, "choose an address of this machine")
        raise Failure(f"cannot listen on {address}: {reason}; {remedy}", Exit.UNAVAILABLE) from None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address, given as a number or a name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def url_of(listener: socket.socket, scheme: str = "http") -> str:
    """Where a process of this machine reaches the socket."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
