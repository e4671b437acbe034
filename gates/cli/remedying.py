"""Carrying out what a NO-GO calls for: a rollback at the control plane, a webhook. What fails is told, and changes no
verdict."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Literal

import httpx2

from gates.cli.asking import client_of
from gates.cli.options import login
from gates.client import ControlFailed
from gates.promotion.remedies import Remedy, Webhook, due
from gates.promotion.report import Report

Mode = Literal["off", "dry-run", "act"]
MODES: tuple[Mode, ...] = ("off", "dry-run", "act")
TIMEOUT_SECONDS = 5.0


def remedy(report: Report, remedies: Mapping[str, Remedy], mode: str, control: str) -> None:
    """Each remedy that is due, once; `mode` off tells nothing, dry-run tells what would be done."""
    if mode == "off":
        return
    for result, wanted in due(report, remedies):
        if mode == "dry-run":
            _tell(f"gate {result.gate} fails: would {wanted}")
            continue
        reason = f"gate {result.gate}: {result.reason}"
        if wanted.rollback:
            _roll_back(report.model, reason, control)
        if wanted.webhook is not None:
            _call(wanted.webhook, reason)


def _roll_back(model: str, reason: str, control: str) -> None:
    if not model:
        _tell(f"not rolled back, as no --model is named: {reason}")
        return
    try:
        with client_of(control) as client:
            client.ask(model, "rollback", f"penstock gate ({login()})", reason)
        _tell(f"rolled back {model}: {reason}")
    except ControlFailed as error:
        _tell(f"not rolled back: {error}")


def _call(webhook: Webhook, reason: str) -> None:
    try:
        response = httpx2.post(
            webhook.url, json={**webhook.body, "reason": reason}, timeout=TIMEOUT_SECONDS, trust_env=False
        )
        response.raise_for_status()
        _tell(f"{webhook}: status {response.status_code}: {reason}")
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        _tell(f"{webhook} failed: {type(error).__name__}: {reason}")


def _tell(text: str) -> None:
    print(f"penstock: remedy: {text}", file=sys.stderr)
