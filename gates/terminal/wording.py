"""How single things are written in a terminal."""

from __future__ import annotations

CHAMPION = "cyan"
CANDIDATE = "magenta"


def plain(text: str) -> str:
    """Text from elsewhere, such as a person's reason, without what would steer the terminal."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def words(name: str) -> str:
    return name.replace("_", " ")


def floor_percent(share: float) -> str:
    """Rounded down, so that 100 % means all."""
    return f"{int(share * 10_000) / 100:.2f} %"


def milliseconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f} ms" if value < 100 else f"{value:,.0f} ms"
