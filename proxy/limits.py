"""What a client may ask of the server, in bytes and in time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may ask of the server. Times in seconds, sizes in bytes."""

    head_bytes: int = 32 * 1024
    target_bytes: int = 8 * 1024
    head_seconds: float = 10.0
    body_seconds: float = 60.0
    idle_seconds: float = 75.0
    drain_seconds: float = 30.0
    linger_seconds: float = 1.0
