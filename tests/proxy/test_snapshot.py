from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy import snapshot
from proxy.snapshot import (
    AgreementSpec,
    HeaderMatch,
    HealthProbe,
    ModelRoute,
    Origin,
    ShadowPolicy,
    Snapshot,
    Sticky,
    Target,
    UpstreamTls,
)
from tests.strategies import json_values, snapshots

ONE = Target("1", (Origin("127.0.0.1", 8001),))
TWO = Target("2", (Origin("127.0.0.1", 8002),))
ROUTE = ModelRoute("m", "/", ONE, TWO)


@given(snapshots())
def test_the_codec_gives_back_what_it_took(drawn: Snapshot) -> None:
    again = snapshot.decode(snapshot.encode(drawn))
    assert again == drawn
    assert (again.anywhere, again.by_host) == (drawn.anywhere, drawn.by_host)
    assert again.by_model == drawn.by_model


@given(st.binary() | json_values.map(json.dumps).map(str.encode))
def test_what_is_no_snapshot_raises_value_error(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        snapshot.decode(raw)


def test_a_document_nested_beyond_reason_is_no_snapshot() -> None:
    with pytest.raises(ValueError, match="deep"):
        snapshot.decode(b'{"unknown": ' + b"[" * 100_000)


@given(snapshots(), st.data())
def test_a_cut_snapshot_is_no_snapshot(drawn: Snapshot, data: st.DataObject) -> None:
    raw = snapshot.encode(drawn)
    with pytest.raises(ValueError, match=r"\w"):
        snapshot.decode(raw[: data.draw(st.integers(0, len(raw) - 1))])


UNLAWFUL: list[tuple[str, Callable[[], object]]] = [
    ("host is empty", lambda: Origin("", 80)),
    ("host with a line break", lambda: Origin("a\r\nx: y", 80)),
    ("host with an empty label", lambda: Origin("model..svc", 80)),
    ("host that begins with a dot", lambda: Origin(".svc", 80)),
    ("host with a label of 64 characters", lambda: Origin(f"{'a' * 64}.svc", 80)),
    ("host and port in one", lambda: Origin("model:80", 80)),
    ("port 0", lambda: Origin("a", 0)),
    ("port 65536", lambda: Origin("a", 65_536)),
    ("key without a certificate", lambda: UpstreamTls(key="a")),
    ("server name with a line break", lambda: UpstreamTls(server_name="a\nb")),
    ("probe of nothing", lambda: HealthProbe("ping")),
    ("probe with a line break", lambda: HealthProbe("/a\r\nb")),
    ("probe without a pause", lambda: HealthProbe("/", interval=0)),
    ("probe without time", lambda: HealthProbe("/", timeout=0)),
    ("probe that changes nothing", lambda: HealthProbe("/", unhealthy_after=0)),
    ("no exchange at all", lambda: replace(ROUTE, max_concurrent=0)),
    ("no version", lambda: Target("", ONE.origins)),
    ("version with a line break", lambda: Target("1\r\nx: y", ONE.origins)),
    ("no server", lambda: Target("1", ())),
    ("header without a name", lambda: Sticky("header")),
    ("request with a name", lambda: Sticky("request", "x")),
    ("share above all", lambda: ShadowPolicy(share_bp=10_001)),
    ("negative share", lambda: ShadowPolicy(share_bp=-1)),
    ("no copies in flight", lambda: ShadowPolicy(max_in_flight=0)),
    ("no bytes", lambda: ShadowPolicy(max_bytes=0)),
    ("no time", lambda: ShadowPolicy(timeout=0)),
    ("endless time", lambda: ShadowPolicy(timeout=math.inf)),
    ("time that is no number", lambda: ShadowPolicy(timeout=math.nan)),
    ("negative tolerance", lambda: AgreementSpec(relative=-0.1)),
    ("tolerance that is no number", lambda: AgreementSpec(absolute=math.nan)),
    ("negative body", lambda: AgreementSpec(max_body=-1)),
    ("no model", lambda: replace(ROUTE, model="")),
    ("model with a line break", lambda: replace(ROUTE, model="a\nb")),
    ("prefix without a slash", lambda: replace(ROUTE, path_prefix="a")),
    ("the proxy's own prefix", lambda: replace(ROUTE, path_prefix="/-/a")),
    ("the proxy's own prefix, bare", lambda: replace(ROUTE, path_prefix="/-")),
    ("ramp above all", lambda: replace(ROUTE, ramp_bp=10_001)),
    ("negative ramp", lambda: replace(ROUTE, ramp_bp=-1)),
    ("ramp without a candidate", lambda: replace(ROUTE, candidate=None, ramp_bp=1)),
    ("no timeout", lambda: replace(ROUTE, timeout=0)),
    ("endless timeout", lambda: replace(ROUTE, timeout=math.inf)),
    ("negative epoch", lambda: replace(ROUTE, epoch=-1)),
    ("candidate is the champion", lambda: replace(ROUTE, candidate=replace(TWO, version="1"))),
    ("negative generation", lambda: Snapshot(-1, ())),
    ("host with a port", lambda: replace(ROUTE, host="a b")),
    ("host in capitals", lambda: replace(ROUTE, host="A")),
    ("header in capitals", lambda: HeaderMatch("X-Model", "a")),
    ("header without a name", lambda: HeaderMatch("", "a")),
    ("header without a value", lambda: HeaderMatch("x-model", "")),
    ("header that nobody can send", lambda: HeaderMatch("x-model", "a\r\nb")),
    ("one header twice", lambda: Snapshot(1, (_by("x-a", "1", "m"), _by("x-a", "1", "n")))),
    ("two headers at one place", lambda: Snapshot(1, (_by("x-a", "1", "m"), _by("x-b", "1", "n")))),
    ("one prefix twice", lambda: Snapshot(1, (ROUTE, replace(ROUTE, model="n")))),
    ("one prefix twice, but for the slash", lambda: Snapshot(1, (_at("/a", "m"), _at("/a/", "n")))),
    ("one model twice", lambda: Snapshot(1, (ROUTE, replace(ROUTE, path_prefix="/a")))),
]


def _at(path_prefix: str, model: str) -> ModelRoute:
    return replace(ROUTE, path_prefix=path_prefix, model=model)


def _by(name: str, value: str, model: str) -> ModelRoute:
    return replace(ROUTE, header=HeaderMatch(name, value), model=model)


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in UNLAWFUL])
def test_what_breaks_a_rule_cannot_be_constructed(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"\w+: |one_prefix|two models|a model"):
        make()


@pytest.mark.parametrize(
    ("field", "value"), [("ramp_bp", 10_001), ("timeout", -1), ("model", ""), ("path_prefix", "a")]
)
def test_what_cannot_be_constructed_cannot_be_decoded(field: str, value: object) -> None:
    document = msgspec.json.decode(snapshot.encode(Snapshot(1, (ROUTE,))))
    document["routes"][0][field] = value
    with pytest.raises(ValueError, match=field):
        snapshot.decode(msgspec.json.encode(document))


@pytest.mark.parametrize(
    ("url", "host", "port", "authority"),
    [
        ("http://model:8080", "model", 8080, "model:8080"),
        ("http://model:8080/", "model", 8080, "model:8080"),
        ("http://10.0.0.7", "10.0.0.7", 80, "10.0.0.7:80"),
        ("https://model", "model", 443, "model:443"),
        ("https://model:8443/", "model", 8443, "model:8443"),
        ("http://[::1]:9", "::1", 9, "[::1]:9"),
    ],
)
def test_an_origin_is_read_from_its_url(url: str, host: str, port: int, authority: str) -> None:
    origin = Origin.parse(url)
    assert (origin.host, origin.port, origin.authority) == (host, port, authority)
    assert origin.tls == (UpstreamTls() if url.startswith("https:") else None)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "model:8080",
        "ftp://model",
        "http://",
        "http://model/path",
        "http://model?query",
        "http://user@model",
        "http://model:port",
        "http://model:0",
        "http://model:65536",
        "http://mo del",
    ],
)
def test_anything_else_is_not_an_origin(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Origin.parse(url)
