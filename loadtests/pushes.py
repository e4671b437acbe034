"""What a worker that is broken might bring: lawful pushes, some with a value or two put out of joint."""

from __future__ import annotations

import random
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from time import monotonic
from typing import Any

import httpx2
import msgspec

from proxy import snapshot as snapshots
from proxy.comparison import Comparison
from proxy.push import Push, Sample
from proxy.snapshot import ModelRoute
from proxy.window import Window

ODD: tuple[Any, ...] = (
    *(-1, 0, 1, 2**31, 2**53 + 1, 2**63, 2**64, 10**40, -0.0, 1e308, -1e308, 5e-324),
    *(None, True, "", "\0", "\ud7ff", "x" * 5000, [], [0], [[]], {}, {"": 1}, {"\0": -1}),
)
WORKERS = 20


def bring(url: str, token: str, seconds: float) -> list[str]:
    """Push for so long to a control plane; what it answered that it may not."""
    rng, wrong, until = random.Random(7), [], monotonic() + seconds
    headers = {"authorization": f"Bearer {token}"} if token else {}
    with httpx2.Client(base_url=url, headers=headers, timeout=20, trust_env=False) as client:
        raw = client.get("/link/snapshot", params={"worker": "w0"}).raise_for_status().content
        routes = snapshots.decode(raw).routes
        for sequence, push in enumerate(_pushes(rng, routes)):
            body = msgspec.json.encode(push | {"sequence": sequence} if rng.random() < 0.9 else push)
            answer = client.post("/link/windows", content=body)
            if answer.status_code not in (204, 422):
                wrong.append(f"{answer.status_code} {answer.text[:200]}: {body[:500]!r}")
            if monotonic() > until:
                break
        if (status := client.get("/api/status")).status_code != 200:
            wrong.append(f"afterwards: {status.status_code} {status.text[:200]}")
    return wrong


def _pushes(rng: random.Random, routes: tuple[ModelRoute, ...]) -> Iterator[dict[str, Any]]:
    while True:
        samples = tuple(Sample(route.model, route.epoch, _window(rng)) for route in routes)
        push = msgspec.to_builtins(replace(Push("w0", 0, samples), worker=f"w{rng.randrange(WORKERS)}"))
        for _ in range(rng.randrange(3)):
            _put_out_of_joint(rng, push)
        yield push


def _window(rng: random.Random) -> Window:
    window = Window()
    for _ in range(rng.randrange(30)):
        for lane in (window.champion, window.candidate_shadow):
            lane.observe(500 if rng.random() < 0.005 else 200, rng.random(), rng.random() / 10)
        window.shadow.offered += 1
        window.shadow.sent += 1
        window.agreement.observe(Comparison("number" if rng.random() < 0.01 else "", rows=1))
    return window


def _put_out_of_joint(rng: random.Random, push: dict[str, Any]) -> None:
    """One value, however deep, or one key."""
    place: Any = push
    while True:
        key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
        inner = place[key]
        if not inner or not isinstance(inner, dict | list | tuple) or rng.random() < 0.1:
            break
        if isinstance(inner, tuple):
            inner = place[key] = list(inner)
        place = inner
    if isinstance(place, dict) and rng.random() < 0.1:
        key = rng.choice(("", "\0", "model", "x" * 300))
    place[key] = deepcopy(rng.choice(ODD))
