"""What comes with Penstock beside its modules: a configuration to begin with, gate files, the load of staging."""

from __future__ import annotations

from pathlib import Path

import gates

CONFIGURATION = ("penstock.yaml", "penstock.schema.json", "gates")


def shipped(path: str) -> Path:
    """The file or folder of this name: inside the package where a wheel is installed, beside it in a checkout."""
    package = Path(gates.__file__).parent
    inside = package / path
    return inside if inside.exists() else package.parent / path


def gate_file(named: Path) -> Path:
    """The file that is named; or, of a bare name that is no file here, the gate file of that name that comes along."""
    known = shipped("config/gates") / f"{named}.yaml"
    return known if len(named.parts) == 1 and not named.exists() and known.exists() else named


def configuration() -> dict[str, bytes]:
    """The configuration to begin with, and all that it includes, by path within its folder."""
    root = shipped("config")
    return {str(file.relative_to(root)): file.read_bytes() for name in CONFIGURATION for file in _files(root / name)}


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
