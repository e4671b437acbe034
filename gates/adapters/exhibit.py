"""Disagreements as a table of MLflow's, which its user interface shows beside the run and under Evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gates.state import Recorded

if TYPE_CHECKING:
    from mlflow import MlflowClient

TABLE = "disagreements.json"


def log_disagreements(client: MlflowClient, run: str, pairs: Sequence[Recorded]) -> None:
    """Add the table to the run, the most severe pair first; once, as MLflow would append to one that is there."""
    if pairs and not any(artifact.path == TABLE for artifact in client.list_artifacts(run)):
        client.log_table(run, columns_of(pairs), TABLE)


def columns_of(pairs: Sequence[Recorded]) -> dict[str, list[object]]:
    ordered = sorted(pairs, key=lambda pair: (-pair.severity, -pair.lot))
    return {
        "finding": [pair.finding for pair in ordered],
        "severity": [pair.severity for pair in ordered],
        "request": [pair.request for pair in ordered],
        "champion": [pair.champion.body for pair in ordered],
        "candidate": [pair.candidate.body for pair in ordered],
        "champion_version": [pair.champion.version for pair in ordered],
        "candidate_version": [pair.candidate.version for pair in ordered],
        "champion_status": [pair.champion.status for pair in ordered],
        "candidate_status": [pair.candidate.status for pair in ordered],
        "rows": [pair.rows for pair in ordered],
        "rows_disagreed": [pair.rows_disagreed for pair in ordered],
        "largest_gap": [pair.largest_gap for pair in ordered],
        "served": [pair.served for pair in ordered],
        "request_id": [pair.request_id for pair in ordered],
        "path": [pair.path for pair in ordered],
        "recorded_at": [pair.at for pair in ordered],
    }
