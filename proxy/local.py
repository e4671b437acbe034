"""What the data port says of itself: the answers under `/-/`, and the errors that are ours and not an upstream's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import msgspec
from uvicorn._types import ASGISendCallable

from proxy.errors import PenstockError
from proxy.headers import Fields
from proxy.snapshot import BASIS_POINTS, Origin, Snapshot, Target


@dataclass(slots=True)
class Holder:
    """The worker's one reference to its routing truth. A request reads `current` once."""

    current: Snapshot | None = None
    draining: bool = False

    @property
    def ready(self) -> bool:
        return self.current is not None and not self.draining


class Servers(Protocol):
    """What is held of the model servers."""

    def passed_over(self) -> set[Origin]: ...


async def answer(holder: Holder, servers: Servers, path: str, send: ASGISendCallable) -> None:
    """`/-/live`, `/-/ready` and `/-/health`; anything else under the prefix is not found."""
    if path == "/-/live":
        await send_json(200, {"live": True}, send)
    elif path == "/-/ready":
        await send_json(200 if holder.ready else 503, {"ready": holder.ready, "draining": holder.draining}, send)
    elif path == "/-/health":
        await send_json(200 if holder.ready else 503, _health(holder.current, servers.passed_over()), send)
    else:
        await send_json(404, {"error": "not_found", "message": "known: /-/live, /-/ready, /-/health"}, send)


async def answer_error(error: PenstockError, send: ASGISendCallable) -> None:
    later = [(b"retry-after", b"1")] if error.status == 503 else []
    await send_json(error.status, {"error": error.code, "message": error.told}, send, later)


async def send_json(status: int, content: object, send: ASGISendCallable, more: Fields | None = None) -> None:
    body = msgspec.json.encode(content)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *(more or ())]
    await send({"type": "http.response.start", "status": status, "headers": headers, "trailers": False})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _health(snapshot: Snapshot | None, passed_over: set[Origin]) -> dict[str, object]:
    models = {
        route.model: {
            "champion": route.champion.version,
            "candidate": route.candidate.version if route.candidate else None,
            "phase": route.phase,
            "ramp_percent": route.ramp_bp * 100 / BASIS_POINTS,
            "generation": route.epoch,
            "servers": {
                target.version: _servers(target, passed_over) for target in (route.champion, route.candidate) if target
            },
        }
        for route in (snapshot.routes if snapshot else ())
    }
    return {"generation": snapshot.generation if snapshot else 0, "models": models}


def _servers(target: Target, passed_over: set[Origin]) -> dict[str, int]:
    """In numbers: clients read this too, and no address is theirs to know."""
    return {"known": len(target.origins), "passed_over": len(passed_over.intersection(target.origins))}
