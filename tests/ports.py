"""Ports for servers that bind by themselves, and by then must find theirs free."""

from __future__ import annotations

import random
import socket

_BELOW_THE_KERNELS_OWN = range(12_000, 30_000)
_claims: list[socket.socket] = []


def claimed_port() -> int:
    """A port of 127.0.0.1 that nobody else comes by as long as this process lives. The kernel hands out none of these,
    and whoever else asks here finds it taken at the address where it is claimed: so nobody can listen on it at all
    addresses."""
    while True:
        port = random.choice(_BELOW_THE_KERNELS_OWN)
        claim = socket.socket()
        try:
            claim.bind(("127.77.0.1", port))
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        return port
