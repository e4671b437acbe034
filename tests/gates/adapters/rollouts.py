"""A rollout as the tests tell it to a registry, and what is found there afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gates.ports import Registry, RolloutFacts

MODEL = "fraud_detector"
FACTS = RolloutFacts(rollout="fraud_detector-7", model=MODEL, champion="1", candidate="2")
BEGAN = 1_790_000_000.0
ENDED = BEGAN + 3600.0
DECISIONS = [{"generation": 3, "reason": "agreement 0.99"}, {"generation": 4, "reason": "all steps passed"}]


def begin(registry: Registry, facts: RolloutFacts = FACTS) -> None:
    registry.begin(facts, {"steps": "1,5,10", "shadow percent": "100"}, "ana", BEGAN)


def promote(registry: Registry) -> None:
    registry.finish(FACTS, "promoted", "ben", "all gates passed", ENDED, DECISIONS)


def roll_back(registry: Registry) -> None:
    registry.finish(FACTS, "rolled_back", "gates", "agreement 0.72 < 0.97", ENDED, DECISIONS)


def aliases(client: Any) -> dict[str, str]:
    return {alias: str(version) for alias, version in client.get_registered_model(MODEL).aliases.items()}


def version(client: Any, number: str) -> Any:
    return client.get_model_version(MODEL, number)


def runs(client: Any) -> list[Any]:
    experiment = client.get_experiment_by_name("penstock-rollouts")
    return [] if experiment is None else list(client.search_runs([experiment.experiment_id]))


def the_run(client: Any) -> Any:
    (run,) = runs(client)
    return run


def decisions(client: Any, tmp_path: Path) -> Any:
    path = client.download_artifacts(the_run(client).info.run_id, "decisions.json", str(tmp_path))
    return json.loads(Path(path).read_text())
