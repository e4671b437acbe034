"""Whose word on forwarding is taken, by address and on the wire."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from proxy.peers import Peers
from proxy.settings import WorkerSettings
from proxy.snapshot import ModelRoute, Origin
from tests.servers import Background, ModelServer
from tests.wire import call
from tests.workers import LocalWorker, target


@pytest.mark.parametrize(
    ("address", "trusted"),
    [
        ("10.1.2.3", True),
        ("11.1.2.3", False),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("::ffff:10.1.2.3", True),
        ("2001:db8::1", True),
        ("fe80::1%eth0", True),
        ("2001:db9::1", False),
        ("", False),
        ("unix:/run/x", False),
    ],
)
def test_a_peer_is_trusted_by_its_network(address: str, trusted: bool) -> None:
    peers = Peers(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "fe80::/10"])
    assert peers.trusts(address) is trusted
    assert not Peers().trusts(address)


@pytest.mark.parametrize("network", ["10.0.0.1/8", "somewhere", ""])
def test_what_is_no_network_is_refused(network: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        WorkerSettings(Origin("127.0.0.1", 9), ("127.0.0.1", 0), trusted_peers=(network,))


@pytest.fixture(params=["127.0.0.0/8", "10.0.0.0/8"])
def port(background: Background, champion: ModelServer, request: pytest.FixtureRequest) -> Iterator[int]:
    champion.seen.clear()
    route = ModelRoute("m", "/", target("40", champion))
    with LocalWorker(background, route, trusted_peers=(request.param,)) as local:
        yield local.port


def test_only_a_trusted_peer_is_believed(port: int, champion: ModelServer, request: pytest.FixtureRequest) -> None:
    said = [("x-forwarded-for", "192.0.2.7"), ("x-forwarded-proto", "https"), ("via", "1.1 edge")]
    assert call(port, "GET", "/", said).status == 200
    (seen,) = champion.seen
    forwarding = (seen["x-forwarded-for"], seen["x-forwarded-proto"])
    trusted = request.node.callspec.params["port"].startswith("127")
    assert forwarding == (("192.0.2.7, 127.0.0.1", "https") if trusted else ("127.0.0.1", "http"))
    assert seen.all("via") == ["1.1 edge", "1.1 penstock"]
