"""What the demo claims, held against what the store, the registry and the clients say."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gates.adapters.mlflow import CANDIDATE, CHAMPION, ROLLOUT_TAG
from gates.adapters.mlflowstore import connect
from gates.demo.scene import MODEL, Scene
from gates.demo.traffic import Tally
from gates.demo.trial import Outcome

PATIENCE = 30.0
LEAST_REQUESTS = 2_000


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that the demo says happened, and whether it did."""

    says: str
    holds: bool


def account(scene: Scene, tally: Tally, good: Outcome, bad: Outcome) -> dict[str, Any]:
    """The content of `demo-summary.json`; times are in seconds."""
    return {
        "model": MODEL,
        "client_requests": tally.requests,
        "client_failures": tally.failures,
        "last_failure": tally.last_failure,
        "answers_by_version": dict(sorted(tally.by_version.items())),
        "fallbacks": tally.fallbacks,
        "good": _rollout(good),
        "bad": _rollout(bad),
        "mlflow": scene.tracking_uri,
        "seconds": {**scene.seconds, "good": good.seconds, "bad": bad.seconds},
    }


def _rollout(outcome: Outcome) -> dict[str, Any]:
    rollout = outcome.rollout
    return {
        "rollout": rollout.id,
        "candidate": rollout.candidate,
        "phase": str(rollout.phase),
        "gate": rollout.ended_by_gate,
        "reason": rollout.reason,
        "candidate_requests_served_to_clients": rollout.candidate_served,
        "seconds": outcome.seconds,
    }


def claims(scene: Scene, told: Mapping[str, Any]) -> list[Claim]:
    """Every claim of the demo, checked; the registry is given a while, because it is written to after the fact."""
    deadline = time.monotonic() + PATIENCE
    while True:
        checked = [*_client_claims(told), *_registry_claims(scene, told)]
        if all(claim.holds for claim in checked) or time.monotonic() > deadline:
            return checked
        time.sleep(0.5)


def _client_claims(told: Mapping[str, Any]) -> Iterator[Claim]:
    yield Claim(f"at least {LEAST_REQUESTS} requests were sent", told["client_requests"] >= LEAST_REQUESTS)
    yield Claim("no client saw a failure", told["client_failures"] == 0)
    yield Claim("the better candidate was promoted", told["good"]["phase"] == "promoted")
    yield Claim("the defective candidate was rolled back", told["bad"]["phase"] == "rolled_back")
    yield Claim("a gate found the defect", bool(told["bad"]["gate"]))


def _registry_claims(scene: Scene, told: Mapping[str, Any]) -> Iterator[Claim]:
    client = connect(scene.tracking_uri)
    versions = scene.versions
    aliases = {alias: str(version) for alias, version in client.get_registered_model(MODEL).aliases.items()}
    yield Claim("MLflow's alias `champion` is the better version", aliases.get(CHAMPION) == versions.candidate)
    yield Claim("MLflow has no alias `candidate` left", CANDIDATE not in aliases)
    promoted = client.get_model_version(MODEL, versions.candidate).tags
    yield Claim("the promoted version is tagged", promoted.get("previous_champion") == versions.champion)
    rolled_back = client.get_model_version(MODEL, versions.defective).tags
    yield Claim("the rolled back version is tagged", "rolled_back_at" in rolled_back)
    for name in ("good", "bad"):
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        runs = client.search_runs(experiments, f"tags.`{ROLLOUT_TAG}` = '{told[name]['rollout']}'")
        outcomes = [run.data.tags.get("outcome") for run in runs]
        yield Claim(f"MLflow has one closed run of the {name} rollout", outcomes == [told[name]["phase"]])
