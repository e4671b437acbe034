"""Offline gates: what the registry knows of a candidate, judged alone and against the champion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Literal

from gates.promotion.names import wrong_with
from gates.promotion.rule import UNBOUNDED, Bounds, Rule, amount
from gates.promotion.signatures import compare
from gates.promotion.versions import Trial, VersionFacts
from gates.verdict import GateResult, Verdict

CHECKSUM_TAG = "artifact_sha256"
Better = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score(Rule):
    """A logged metric within bounds, and not worse than the champion's by more than `margin`, in the metric's own unit.

    Of `keys` the first that was logged counts. One with a * stands for every metric that it fits, such as
    `accuracy/*` for slices: each is judged, and the worst is told."""

    keys: tuple[str, ...]
    bounds: Bounds = UNBOUNDED
    margin: float | None = None
    better: Better = "higher"

    def judge(self, trial: Trial) -> GateResult:
        found = _found(self.keys, trial.candidate.metrics)
        source = f"MLflow metric of {trial.candidate.uri}"
        if not found:
            return self.lacking(self.bounds.limit, f"no metric {' or '.join(self.keys)} was logged", source)
        judged = [self._one(key, value, trial.champion.metrics) for key, value in found.items()]
        worst = max(
            judged, key=lambda one: (one.verdict is Verdict.FAIL, one.verdict is Verdict.INSUFFICIENT, one.excess)
        )
        details = [one.told for one in judged] if len(judged) > 1 else []
        return self.result(worst.verdict, worst.value, worst.limit, worst.told, f"{source}: {worst.key}", details)

    def _one(self, key: str, value: float, champion: Mapping[str, float]) -> _Judged:
        allowed, told = self.bounds, f"{key} {amount(value, self.bounds.unit)}"
        if self.margin is not None:
            theirs = champion.get(key)
            if theirs is None:
                theirs = next((champion[other] for other in self.keys if other in champion), None)
            if theirs is None:
                verdict = Verdict.INSUFFICIENT if self.bounds.holds(value) else Verdict.FAIL
                why = f"{told}: the champion has no such metric to measure it by, and {self.bounds} is asked"
                return _Judged(key, value, self.bounds.limit, verdict, self.bounds.excess(value), why)
            allowed = self._beside(theirs)
            told += f", the champion's {amount(theirs, self.bounds.unit)}"
        verdict = Verdict.PASS if allowed.holds(value) else Verdict.FAIL
        return _Judged(key, value, allowed.limit, verdict, allowed.excess(value), f"{told}: {allowed} asked")

    def _beside(self, theirs: float) -> Bounds:
        """The tighter of what is asked of the metric alone, and of what the champion's allows."""
        margin = self.margin or 0.0
        least, most = self.bounds.least, self.bounds.most
        if self.better == "higher":
            least = theirs - margin if least is None else max(least, theirs - margin)
        else:
            most = theirs + margin if most is None else min(most, theirs + margin)
        if least is not None and most is not None and least > most:
            most = None
        return Bounds(least, most, self.bounds.unit)


@dataclass(frozen=True, slots=True)
class _Judged:
    """One metric of a score, judged. `excess` is how far it is outside what is allowed."""

    key: str
    value: float
    limit: float
    verdict: Verdict
    excess: float
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Size(Rule):
    """All files of the model together, in bytes."""

    most: int

    def judge(self, trial: Trial) -> GateResult:
        ours, bounds = trial.candidate, Bounds(most=float(self.most), unit="MiB")
        if ours.artifacts is None:
            return self.lacking(bounds.limit, _unread(ours), ours.uri)
        size = float(ours.artifacts.size)
        verdict = Verdict.PASS if bounds.holds(size) else Verdict.FAIL
        reason = f"{amount(size, 'MiB')} in {len(ours.artifacts.sizes)} files: {bounds} asked"
        return self.result(verdict, size, bounds.limit, reason, ours.uri)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureGate(Rule):
    """The candidate has a signature, and takes and gives what the champion does: no client has to change."""

    def judge(self, trial: Trial) -> GateResult:
        ours, theirs = trial.candidate, trial.champion
        if ours.artifacts is None:
            return self.lacking(0.0, _unread(ours), ours.uri)
        if ours.artifacts.signature is None:
            return self.counted(["the model was logged without a signature"], "", ours.uri)
        if theirs.artifacts is None or theirs.artifacts.signature is None:
            why = _unread(theirs) if theirs.artifacts is None else f"the champion, version {theirs.version}, has none"
            return self.lacking(0.0, f"a signature is there; nothing to compare it with: {why}", ours.uri)
        fits = compare(theirs.artifacts.signature, ours.artifacts.signature)
        wrong = [str(fit) for fit in fits if not fit.fits]
        told = f"{len(fits)} columns fit those of version {theirs.version}"
        return self.counted(wrong, told, ours.uri, [str(fit) for fit in fits])


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted(Rule):
    """Tags or parameters that must be there: the lineage, or the standard tags. Each entry is a name, or several with
    `|` between of which one is enough. Those of `same` must be what the champion has."""

    names: tuple[str, ...]
    same: tuple[str, ...] = ()

    def judge(self, trial: Trial) -> GateResult:
        ours, theirs = trial.candidate, trial.champion
        found = {name: _first_noted(ours, name) for name in self.names}
        wrong = [f"no {name.replace('|', ' or ')}" for name, value in found.items() if not value]
        for name in self.same:
            mine, other = ours.noted(name), theirs.noted(name)
            if other and mine != other:
                wrong.append(f"{name} is {mine or 'missing'}, the champion's is {other}")
        details = [f"{name}: {value or 'missing'}" for name, value in found.items()]
        return self.counted(wrong, f"all {len(found)} are there", f"MLflow tags and parameters of {ours.uri}", details)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checksums(Rule):
    """The files are those that were registered, as the tag `artifact_sha256` says, and all of `files` are there."""

    files: tuple[str, ...] = ("MLmodel",)

    def judge(self, trial: Trial) -> GateResult:
        ours = trial.candidate
        if ours.artifacts is None:
            return self.lacking(0.0, _unread(ours), ours.uri)
        wrong = [f"no file {name}" for name in self.files if name not in ours.artifacts.checksums]
        recorded, digest = ours.tags.get(CHECKSUM_TAG, ""), ours.artifacts.digest
        details = [f"{checksum}  {path}" for path, checksum in sorted(ours.artifacts.checksums.items())]
        if not wrong and not recorded:
            why = f"the files are {digest}; no tag {CHECKSUM_TAG} tells what they were: penstock registry seal sets it"
            return self.lacking(0.0, why, ours.uri, details)
        if recorded and recorded != digest:
            wrong.append(f"the files are {digest}, and {recorded} was registered")
        return self.counted(wrong, f"the files are those that were registered, {digest}", ours.uri, details)


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming(Rule):
    """A product's name, without version, date or state; the registry counts versions."""

    def judge(self, trial: Trial) -> GateResult:
        model = trial.candidate.model
        return self.counted(wrong_with(model), f"{model} names a product", "MLflow registry")


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricNames(Rule):
    """Every logged metric has a canonical name, so that versions and models can be compared. `names` may hold *."""

    names: tuple[str, ...]

    def judge(self, trial: Trial) -> GateResult:
        ours = trial.candidate
        source = f"MLflow metrics of {ours.uri}"
        if not ours.metrics:
            return self.lacking(0.0, "no metric was logged", source)
        odd = [name for name in sorted(ours.metrics) if not any(fnmatchcase(name, known) for known in self.names)]
        wrong = [f"{name}{_meant(name, self.names)}" for name in odd]
        return self.counted(wrong, f"all {len(ours.metrics)} have canonical names", source)


OfflineGate = Score | Size | SignatureGate | Noted | Checksums | Naming | MetricNames


def judge(gates: Sequence[OfflineGate], trial: Trial) -> tuple[GateResult, ...]:
    return tuple(gate.judge(trial) for gate in gates)


def _found(keys: Sequence[str], metrics: Mapping[str, float]) -> dict[str, float]:
    for key in keys:
        fitting = {name: value for name, value in sorted(metrics.items()) if fnmatchcase(name, key)}
        if fitting:
            return fitting
    return {}


def _first_noted(facts: VersionFacts, names: str) -> str:
    return next((value for name in names.split("|") if (value := facts.noted(name))), "")


def _meant(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name.lower().removeprefix("val_").removeprefix("test_"), known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _unread(facts: VersionFacts) -> str:
    return f"the files of version {facts.version} cannot be read: {facts.trouble or 'there are none'}"
