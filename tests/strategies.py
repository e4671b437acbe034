"""What hypothesis draws from: lawful snapshots, windows and JSON."""

from __future__ import annotations

import string
from dataclasses import replace
from typing import get_args

from hypothesis import strategies as st

from proxy.comparison import Comparison
from proxy.outputs import add_outputs, outputs_of
from proxy.snapshot import (
    BASIS_POINTS,
    AgreementSpec,
    Format,
    HeaderMatch,
    HealthProbe,
    Kind,
    ModelRoute,
    Origin,
    Phase,
    Precision,
    ShadowPolicy,
    Slice,
    Snapshot,
    Sticky,
    Target,
    UpstreamTls,
)
from proxy.tally import LANES, AloneTally
from proxy.window import Window, merge

names = st.text(string.ascii_letters + string.digits + "._-é中", min_size=1, max_size=12)
hosts = st.sampled_from(["127.0.0.1", "::1", "model-server", "a.b.example"])
seconds = st.floats(0.001, 1e6)
shares = st.integers(0, BASIS_POINTS)

files = st.sampled_from(["", "/etc/tls/a.pem"])
tls = st.none() | st.builds(UpstreamTls, ca=files, certificate=files, server_name=st.sampled_from(["", "a.example"]))
origins = st.builds(Origin, hosts, st.integers(1, 65_535), tls)
targets = st.builds(Target, names, st.lists(origins, min_size=1, max_size=3).map(tuple))
sticky = st.one_of(
    st.just(Sticky()), st.builds(Sticky, st.sampled_from(["header", "cookie", "json"]), names.filter(str.isascii))
)
ends = st.lists(st.sampled_from(["/infer", ":predict"]), max_size=2).map(tuple)
policies = st.builds(ShadowPolicy, shares, st.integers(1, 999), st.integers(1, 1 << 40), seconds, paths=ends)
paths = st.sampled_from(["a", "a.b", "result.*.id"])
formats = st.sampled_from(get_args(Format))


@st.composite
def _specs(draw: st.DrawFn) -> AgreementSpec:
    kind, format = draw(st.sampled_from(get_args(Kind))), draw(formats)
    return AgreementSpec(
        relative=draw(st.floats(0, 1e9)),
        absolute=draw(st.floats(0, 1e9)),
        max_body=draw(st.integers(0, 1 << 40)),
        kind=kind,
        format=format,
        path=draw(st.just("") | paths) if format == "json" else "",
        ignore=draw(st.lists(paths, max_size=2).map(tuple)),
        precision=draw(st.sampled_from(get_args(Precision))),
        classes=draw(st.sampled_from([(), ("a", "b"), ("0", "1", "2")])) if kind == "label" else (),
        threshold=draw(st.floats(0.01, 0.99)),
        top_k=draw(st.integers(1, 99)),
        min_overlap=draw(st.floats(0, 1)),
        min_correlation=draw(st.floats(-1, 1)),
        cpu_bp=draw(shares),
        noise_bp=draw(shares),
    )


specs = _specs()
prefixes = st.lists(st.sampled_from(["a", "b", "ab", "v1", ""]), max_size=3).map(lambda parts: "/" + "/".join(parts))


@st.composite
def routes(draw: st.DrawFn, model: str | None = None, path_prefix: str | None = None) -> ModelRoute:
    champion = draw(targets)
    candidate = draw(st.none() | targets.filter(lambda target: target.version != champion.version))
    return ModelRoute(
        model=model or draw(names),
        path_prefix=path_prefix or draw(prefixes),
        champion=champion,
        candidate=candidate,
        phase=draw(st.sampled_from(list(Phase))),
        ramp_bp=draw(shares) if candidate else 0,
        epoch=draw(st.integers(0, 1 << 40)),
        salt=draw(names),
        sticky=draw(sticky),
        timeout=draw(seconds),
        max_body=draw(st.integers(1, 1 << 40)),
        buffer=draw(st.integers(1, 1 << 40)),
        shadow=draw(policies),
        agreement=draw(specs),
        host=draw(st.sampled_from(["", "", "a.example", "b.example"])),
        health=draw(st.none() | st.builds(HealthProbe, st.just("/ping"), seconds, seconds)),
        max_concurrent=draw(st.integers(1, 512)),
        doubt_rejections=draw(st.booleans()),
        header=draw(st.none() | st.builds(HeaderMatch, st.just("x-model"), st.sampled_from(["a", "b"]))),
    )


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    drawn = draw(st.lists(routes(), max_size=6))
    unique = {(route.host, route.path_prefix.rstrip("/"), route.header): route for route in drawn}.values()
    named = tuple(replace(route, model=f"{number}{route.model}") for number, route in enumerate(unique))
    return Snapshot(draw(st.integers(0, 1 << 40)), named)


comparisons = st.one_of(
    st.builds(Comparison, skipped=st.sampled_from(["encoded", "not_json"])),
    st.builds(
        Comparison,
        finding=st.sampled_from(["", "number", "label"]),
        rows=st.integers(0, 99),
        rows_disagreed=st.integers(0, 99),
        largest_gap=st.floats(0, 1e12),
    ),
)
codes = st.sampled_from(["connect", "timeout", "closed"])


SLICED = ModelRoute("m", "/", Target("1", (Origin("h", 1),)), slices=(Slice("country", "header", "x", most=2),))


@st.composite
def windows(draw: st.DrawFn) -> Window:
    """A window as a worker pushes them: with the first answers of units apart, or without."""
    window = draw(observed())
    if draw(st.booleans()):
        firsts = draw(observed())
        return replace(merge(window, firsts), firsts=firsts)
    return window


@st.composite
def observed(draw: st.DrawFn) -> Window:
    """A window as the hot path makes them: by observing."""
    window = Window(fallbacks=draw(st.integers(0, 99)))
    took = st.floats(0, 1e4)
    for lane in LANES:
        window.lane(lane).asked = draw(st.integers(0, 9))
        for status in draw(st.lists(st.integers(200, 599), max_size=3)):
            window.lane(lane).observe(status, draw(took), draw(st.none() | took))
        for code in draw(st.lists(codes, max_size=2)):
            window.lane(lane).observe_failure(code, draw(took))
        for waited in draw(st.lists(took, max_size=2)):
            window.lane(lane).ask()
            window.lane(lane).abandon(waited)
    for comparison in draw(st.lists(comparisons, max_size=3)):
        window.agreement.observe(comparison)
    for comparison in draw(st.lists(comparisons, max_size=2)):
        window.noise.observe(comparison)
    rows = st.lists(st.floats() | st.sampled_from(["cat", "dog", None, {"a": 1, "b": 0.5}]), max_size=4)
    outputs = outputs_of(draw(rows), AgreementSpec()), outputs_of(draw(rows), AgreementSpec())
    add_outputs(window.champion_outputs, window.candidate_outputs, outputs)
    for value in draw(st.lists(st.sampled_from("abc"), max_size=3)):
        places = (("country", value),)
        window.answers("candidate", SLICED, places).observe(200, draw(took))
        window.pair(draw(comparisons), SLICED, places)
    window.alone = AloneTally(draw(st.integers(0, 9)), draw(st.integers(0, 9)))
    for reason in draw(st.lists(st.sampled_from(["", "in_flight", "bytes"]), max_size=4)):
        window.shadow.offered += 1
        if reason:
            window.shadow.drop(reason)
        else:
            window.shadow.sent += 1
    return window


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**320), 10**320) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
