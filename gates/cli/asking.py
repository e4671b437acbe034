"""What the commands that ask a control plane have in common."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gates.client import ControlClient


def client_of(control: str, timeout: float | None = None) -> ControlClient:
    from gates.client import TIMEOUT_SECONDS, ControlClient

    return ControlClient(control, timeout or TIMEOUT_SECONDS)


def print_json(value: object) -> None:
    import msgspec

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")
