"""Durations as people read them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """In the two largest units, rounded down: 59 s, 1 min 5 s, 1 h, 23 h 55 min, 1 d 2 h."""
    if 0 < seconds < 1:
        return f"{seconds:.1g} s"
    whole = int(seconds)
    parts = {"d": whole // 86_400, "h": whole // 3600 % 24, "min": whole // 60 % 60, "s": whole % 60}
    first = next((place for place, count in enumerate(parts.values()) if count), len(parts) - 1)
    shown = [f"{count} {unit}" for unit, count in list(parts.items())[first : first + 2] if count]
    return " ".join(shown) or "0 s"
