"""Whose word on forwarding is taken: the peers that stand between clients and this proxy, such as a load balancer."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

_KNOWN_ADDRESSES = 4096


class Peers:
    """The networks of trusted peers; without any, nobody is trusted. Raises ValueError for what is no network."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks = tuple(map(ip_network, networks))
        self.trusts = lru_cache(_KNOWN_ADDRESSES)(self._trusts) if self._networks else _nobody

    @property
    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return self._networks

    def _trusts(self, address: str) -> bool:
        """Whether the peer at this address is trusted; one without an address, as at a Unix socket, is not."""
        try:
            peer = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(peer, IPv6Address) and peer.ipv4_mapped is not None:
            peer = peer.ipv4_mapped
        return any(peer in network for network in self._networks)


def _nobody(address: str) -> bool:
    return False
