"""MLflow as the registry: a run for each rollout; aliases, tags and stages on the versions it concerns."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gates.adapters.exhibit import log_disagreements
from gates.adapters.mlflowstore import MlflowStore
from gates.ports import RolloutFacts
from gates.state import Recorded

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION, CANDIDATE = "champion", "candidate"  # the aliases
ROLLOUT_TAG = "penstock.rollout"  # on the rollout's run, by which it is found again, and on the candidate
Stage = Literal["Staging", "Production", "Archived"]

_PARAMS_PER_BATCH = 100  # MLflow's own limits
_NAME_LENGTH = 250


class MlflowRegistry:
    """`gates.ports.Registry` over an MLflow server or database. Safe to call again with the same arguments.

    Nothing is imported or opened before the first call, and a first call that failed is made anew by the next.
    """

    def __init__(
        self, tracking_uri: str, registry_uri: str | None = None, experiment: str = "penstock-rollouts"
    ) -> None:
        self._store = MlflowStore(tracking_uri, registry_uri)
        self._experiment = experiment

    def resolve(self, model: str, reference: str) -> str:
        """The version number that `reference` ("42", "@champion") names now, or RegistryError."""
        with self._store.client_to(f"resolve {reference!r} of model {model!r}") as client:
            if reference.startswith("@"):
                return str(client.get_model_version_by_alias(model, reference[1:]).version)
            return str(client.get_model_version(model, reference).version)

    def begin(self, facts: RolloutFacts, parameters: Mapping[str, str], by: str, at: float) -> None:
        """Open the rollout's run, alias and tag the candidate, and alias the champion if no version is yet.

        Does nothing once the run is closed, so that a late repeat does not bring the candidate back."""
        with self._store.client_to(f"begin {_described(facts)}") as client:
            for version in (facts.champion, facts.candidate):
                client.get_model_version(facts.model, version)  # an unknown one raises before anything is written
            run = self._run(client, facts, at)
            if run.info.status != "RUNNING":
                return
            _log_parameters(client, run.info.run_id, parameters)
            client.set_tag(run.info.run_id, "started_by", by)
            if CHAMPION not in _aliases(client, facts.model):
                client.set_registered_model_alias(facts.model, CHAMPION, facts.champion)
            client.set_registered_model_alias(facts.model, CANDIDATE, facts.candidate)
            _tag(client, facts.model, facts.candidate, {ROLLOUT_TAG: facts.rollout})
            _move_to_stage(client, facts.model, facts.candidate, "Staging")

    def measure(self, facts: RolloutFacts, figures: Mapping[str, float], at: float) -> None:
        """Add a point of each finite figure; its step is the whole seconds since the run began.

        Characters that MLflow does not allow in a metric's name become "_"."""
        with self._store.client_to(f"measure {_described(facts)}") as client:
            _log_figures(client, self._run(client, facts, at), figures, at)

    def exhibit(self, facts: RolloutFacts, pairs: Sequence[Recorded], at: float) -> None:
        """Add the disagreements to the rollout's run, as the table `disagreements.json`; once."""
        with self._store.client_to(f"exhibit {_described(facts)}") as client:
            log_disagreements(client, self._run(client, facts, at).info.run_id, pairs)

    def finish(
        self,
        facts: RolloutFacts,
        outcome: Literal["promoted", "rolled_back"],
        by: str,
        reason: str,
        at: float,
        decisions: Sequence[Mapping[str, object]],
    ) -> None:
        """Move aliases, stages and tags, store `decisions.json`, and close the run.

        The run's status is FINISHED for either outcome: a rollback is a rollout that did its work. The tag `outcome`
        comes last, so where the run has it already nothing is left to do."""
        with self._store.client_to(f"finish {_described(facts)} as {outcome}") as client:
            run = self._run(client, facts, at)
            if run.data.tags.get("outcome") == outcome:
                return
            if outcome == "promoted":
                _promote(client, facts, by, at)
            else:
                _roll_back(client, facts, by, reason, at)
            client.log_dict(run.info.run_id, [dict(decision) for decision in decisions], "decisions.json")
            client.set_terminated(run.info.run_id, "FINISHED", _milliseconds(at))
            for key, value in {"reason": reason, "decided_by": by, "outcome": outcome}.items():
                client.set_tag(run.info.run_id, key, value)

    def certify(self, facts: RolloutFacts, record: Mapping[str, object], at: float) -> None:
        """Store the promotion's record as `promotion.json` in the rollout's run."""
        with self._store.client_to(f"certify {_described(facts)}") as client:
            client.log_dict(self._run(client, facts, at).info.run_id, dict(record), "promotion.json")

    def revert(self, facts: RolloutFacts, by: str, reason: str, at: float) -> None:
        """Point the champion's alias back at `facts.champion`, tag and move both versions, and keep a run of it.

        The tag `outcome` comes last, as in `finish`."""
        with self._store.client_to(f"record that {facts.model} went back to {facts.champion}") as client:
            run = self._run(client, facts, at)
            if run.data.tags.get("outcome") == "reverted":
                return
            client.set_registered_model_alias(facts.model, CHAMPION, facts.champion)
            _move_to_stage(client, facts.model, facts.champion, "Production")
            _roll_back(client, facts, by, reason, at)
            client.set_terminated(run.info.run_id, "FINISHED", _milliseconds(at))
            for key, value in {"reason": reason, "decided_by": by, "outcome": "reverted"}.items():
                client.set_tag(run.info.run_id, key, value)

    def _run(self, client: MlflowClient, facts: RolloutFacts, at: float) -> Any:
        """The rollout's run, by its tag; a new one, begun at `at`, if there is none."""
        experiment = experiment_id(client, self._store.tracking_uri, self._experiment)
        found = client.search_runs([experiment], f"tags.`{ROLLOUT_TAG}` = '{facts.rollout}'", max_results=1)
        if found:
            return found[0]
        return client.create_run(
            experiment,
            start_time=_milliseconds(at),
            run_name=f"{facts.model} {facts.champion} -> {facts.candidate}",
            tags={
                ROLLOUT_TAG: facts.rollout,
                "model": facts.model,
                "champion": facts.champion,
                "candidate": facts.candidate,
            },
        )


def experiment_id(client: MlflowClient, tracking_uri: str, name: str) -> str:
    """The experiment of this name, created if there is none.

    A new one in a SQLite store keeps its files in `mlruns` beside the database file; MLflow's own choice would be
    `mlruns` in whichever folder the process runs in. Any other store chooses for itself."""
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    folder = None
    if tracking_uri.startswith("sqlite:///"):
        folder = str(Path(tracking_uri.removeprefix("sqlite:///")).absolute().parent / "mlruns")
    return str(client.create_experiment(name, folder))


def _promote(client: MlflowClient, facts: RolloutFacts, by: str, at: float) -> None:
    client.set_registered_model_alias(facts.model, CHAMPION, facts.candidate)
    _end_candidacy(client, facts)
    promotion = {"promoted_at": _iso(at), "promoted_by": by, "previous_champion": facts.champion}
    _tag(client, facts.model, facts.candidate, promotion | {ROLLOUT_TAG: facts.rollout})
    _move_to_stage(client, facts.model, facts.candidate, "Production")
    _move_to_stage(client, facts.model, facts.champion, "Archived")


def _roll_back(client: MlflowClient, facts: RolloutFacts, by: str, reason: str, at: float) -> None:
    if _aliases(client, facts.model).get(CHAMPION) == facts.candidate:  # promoted before, or by hand
        client.set_registered_model_alias(facts.model, CHAMPION, facts.champion)
        _move_to_stage(client, facts.model, facts.champion, "Production")
    _end_candidacy(client, facts)
    rollback = {"rolled_back_at": _iso(at), "rolled_back_by": by, "rollback_reason": reason}
    _tag(client, facts.model, facts.candidate, rollback | {ROLLOUT_TAG: facts.rollout})
    _move_to_stage(client, facts.model, facts.candidate, "Archived")


def _end_candidacy(client: MlflowClient, facts: RolloutFacts) -> None:
    """Delete the `candidate` alias, unless it has moved on to another version."""
    if _aliases(client, facts.model).get(CANDIDATE) == facts.candidate:
        client.delete_registered_model_alias(facts.model, CANDIDATE)


def _aliases(client: MlflowClient, model: str) -> dict[str, str]:
    # SQL stores give versions as int, REST stores as str
    return {alias: str(version) for alias, version in client.get_registered_model(model).aliases.items()}


def _tag(client: MlflowClient, model: str, version: str, tags: Mapping[str, str]) -> None:
    for key, value in tags.items():
        client.set_model_version_tag(model, version, key, value)


def _move_to_stage(client: MlflowClient, model: str, version: str, stage: Stage) -> None:
    """Tag the version with its stage, and move it to MLflow's classic stage too where the registry still has them."""
    _tag(client, model, version, {"stage": stage})
    classic = getattr(client, "transition_model_version_stage", None)
    if classic is None:
        return
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*transition_model_version_stage", FutureWarning)
            classic(model, version, stage)
    except Exception as error:
        if not _has_no_stages(error):
            raise


def _has_no_stages(error: Exception) -> bool:
    """Whether a registry without classic stages answered: Unity Catalog (its words), its open-source twin, a server."""
    if isinstance(error, NotImplementedError) or "is unsupported for models" in str(error):
        return True
    return getattr(error, "error_code", None) in {"ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED"}


def _log_parameters(client: MlflowClient, run: str, parameters: Mapping[str, str]) -> None:
    from mlflow.entities import Param

    params = [Param(_legal_name(name), value) for name, value in parameters.items()]
    for first in range(0, len(params), _PARAMS_PER_BATCH):
        client.log_batch(run, params=params[first : first + _PARAMS_PER_BATCH])


def _log_figures(client: MlflowClient, run: Any, figures: Mapping[str, float], at: float) -> None:
    from mlflow.entities import Metric

    now, step = _milliseconds(at), max(0, int(at - run.info.start_time / 1000))
    finite = {name: value for name, value in figures.items() if math.isfinite(value)}
    metrics = [Metric(_legal_name(name), value, now, step) for name, value in finite.items()]
    client.log_batch(run.info.run_id, metrics=metrics)


def _legal_name(name: str) -> str:
    """`name` as MLflow allows it for metrics and parameters, in file-backed stores too: a relative, normal path.

    Source of the rule: mlflow.utils.validation, `_validate_metric_name`."""
    parts = re.sub(r"[^\w.\- /]", "_", name).split("/")
    return "/".join(part for part in parts if part.strip("."))[:_NAME_LENGTH].rstrip("/") or "_"


def _described(facts: RolloutFacts) -> str:
    return f"rollout {facts.rollout!r} ({facts.model} {facts.champion} -> {facts.candidate})"


def _milliseconds(at: float) -> int:
    return int(at * 1000)


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
