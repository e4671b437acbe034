"""The configuration's keys for a candidate's trial: the plan, the gates and the budget for chance."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from itertools import pairwise
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from gates.gate import Against, Budget, Gate, Metric, Per, Scope
from gates.plan import Deadline, OnFail, Overdue, Plan, Stage
from gates.settings import kinds
from gates.settings.kinds import Keys, contradiction, written
from gates.verdict import Severity
from proxy.snapshot import BASIS_POINTS

USUAL_VALUES = 21
"""The values of a slice that names no number of them, and all others."""


class ShadowStage(Keys):
    """The first stage: the candidate gets copies alone, and serves nobody."""

    min_duration: kinds.Duration = written("24h")
    """The least time that the stage takes."""
    min_requests: kinds.Count = 5000
    """The least number of copies that the candidate answers."""


class Step(Keys):
    """One rung of the ramp."""

    percent: kinds.BasisPoints
    """The percentage of requests that the candidate serves, with at most two decimals."""
    min_duration: kinds.Duration | None = None
    """The least time that the step takes: where it is not named, that of the step before, and 30m for the first."""
    min_requests: kinds.Count | None = None
    """The least number of requests that the candidate serves: else that of the step before, and 500 for the first."""
    approval: bool = False
    """Whether a person has to let the rollout enter this step. It is not taken from the step before."""


class BakeStage(Keys):
    """The last stage: the candidate serves everybody, and the old champion stays warm and goes on being compared."""

    min_duration: kinds.Duration = written("24h")
    """The least time that the stage takes."""
    min_requests: kinds.Count = 0
    """The least number of requests that the candidate serves."""


class DeadlineKeys(Keys):
    """What happens to a stage that is not passed in time. Time in which a person is waited for does not count."""

    after: kinds.Deadline
    """The time that a stage may take."""
    then: Overdue = "alert"
    """alert records it, once for each stage, and the rollout goes on; roll_back ends it."""

    def deadline(self) -> Deadline:
        return Deadline(self.after, self.then)


class PlanKeys(Keys):
    """The stages of a rollout, in order, and its limits."""

    shadow: ShadowStage = written({})
    """Before the ramp."""
    steps: Annotated[list[Step], Field(min_length=1)] = written(
        [{"percent": percent} for percent in (1, 5, 10, 25, 50, 100)]
    )
    """The ramp: percentages that rise from step to step, to 100."""
    bake: BakeStage = written({})
    """After the ramp."""
    on_fail: OnFail = "roll_back"
    """What a critical gate that fails on the ramp does. step_down goes back one step, once in a rollout and not from
    the first step; the next failure rolls back."""
    max_bad_answers: Annotated[int, Field(ge=1)] | None = None
    """The number of clients' requests failed by the candidate, in the whole rollout, that rolls back whatever the gates
    say: a cap on the damage. Requests that the champion answered in its place count."""
    deadline: DeadlineKeys | None = None
    """For each stage."""
    cool_down: kinds.Duration = written("1h")
    """The time after a rollback in which the same candidate is not started again, unless a person overrides it."""
    dry_run: bool = False
    """Whether the controller only records what it would do. What people ask for is done."""

    @field_validator("on_fail")
    @classmethod
    def _lower(cls, on_fail: OnFail, info: ValidationInfo) -> OnFail:
        if on_fail == "step_down" and len(info.data.get("steps", (1, 2))) == 1:
            raise contradiction("expected roll_back, as there is no lower step to go to")
        return on_fail

    @field_validator("steps")
    @classmethod
    def _rise(cls, steps: list[Step]) -> list[Step]:
        for index, (low, high) in enumerate(pairwise([0, *(step.percent for step in steps)])):
            if low >= high:
                raise contradiction(f"expected more than {low / 100:g}, found {high / 100:g}", index, "percent")
        if steps[-1].percent != BASIS_POINTS:
            raise contradiction("expected the last step to be 100", len(steps) - 1, "percent")
        return steps

    def plan(self) -> Plan:
        duration, requests = 30 * 60.0, 500
        steps = []
        for step in self.steps:
            duration = duration if step.min_duration is None else step.min_duration
            requests = requests if step.min_requests is None else step.min_requests
            steps.append(Stage(step.percent, duration, requests, step.approval))
        shadow = Stage(0, self.shadow.min_duration, self.shadow.min_requests)
        return Plan(
            shadow,
            tuple(steps),
            Stage(BASIS_POINTS, self.bake.min_duration, self.bake.min_requests),
            on_fail=self.on_fail,
            max_bad_answers=self.max_bad_answers,
            deadline=self.deadline.deadline() if self.deadline else None,
            cool_down=self.cool_down,
            dry_run=self.dry_run,
        )


class _GateKeys(Keys):
    severity: Severity = "critical"
    """A critical gate rolls back and holds; an advisory one only tells."""
    scope: Scope = "all"
    """The stages that it watches: shadow, ramp, bake or all."""
    min_requests: kinds.Count = 0
    """The least number of requests, in one stage, before it passes. It may fail sooner."""
    per: Per = "request"
    """unit counts the first answer of each unit that sticky names, in each stage, as a user's requests stand or fall
    together: without it, a few unlucky users may look like a bad candidate. A fault that begins later is seen by the
    units that come later; a second gate, per request and with a wider limit, sees it at once."""
    by: kinds.Name | None = None
    """A slice of the model's: it then fails by any one of the slice's values. However many those are, a false alarm is
    no likelier. It passes by the whole."""


class _MeasuringGateKeys(_GateKeys):
    """Each kind of gate names in `against` what it can be measured by."""

    margin: kinds.Margin = written("50%")
    """How much worse than that it may be: with 50%, half as much again."""

    @model_validator(mode="after")
    def _measuring(self) -> Self:
        if "margin" in self.model_fields_set and self._measure is None:
            raise contradiction("says nothing without against", "margin")
        return self

    @model_validator(mode="after")
    def _sliced(self) -> Self:
        if self.by and self._measure in ("pairs", "noise_floor"):
            raise contradiction(f"is not told apart by slice: leave out by, or against: {self._measure}", "by")
        return self

    @property
    @abstractmethod
    def _measure(self) -> Against | None:
        """What the gate is measured against, None where that is nothing but its limit."""

    def _gate(self, name: str, metric: Metric, limit: float, quantile: float = 0.99) -> Gate:
        return Gate(
            name,
            metric,
            limit,
            quantile,
            self.severity,
            margin=self.margin if self._measure else None,
            scope=self.scope,
            min_requests=self.min_requests,
            against=self._measure,
            per=self.per,
            by=self.by or "",
            values=USUAL_VALUES if self.by else 0,
        )


class ErrorRateGate(_MeasuringGateKeys):
    """The candidate fails no more often than this: no answer, a 5xx, or a refusal of what the champion answers."""

    metric: Literal["error_rate"] = "error_rate"
    """What is watched. A gate that is named after it need not say."""
    max: kinds.LargestShare
    """The largest share of failures, with its % sign: 1%."""
    against: Literal["champion", "pairs"] | None = None
    """champion measures the candidate against the champion, over the same time: it may reach max or the champion's own
    rate with the margin, whichever is more, so an outage of both is not held against it. pairs does so on the requests
    that both answered, and counts those that one alone has failed."""

    @property
    def _measure(self) -> Against | None:
        return self.against

    def gate(self, name: str) -> Gate:
        return self._gate(name, "error_rate", self.max)


class LatencyGate(_MeasuringGateKeys):
    """The candidate is no slower than this."""

    metric: Literal["latency"] = "latency"
    """What is watched. A gate that is named after it need not say."""
    quantile: kinds.Quantile = written("p99")
    """Which quantile of the candidate's latencies: p50, p95, p99.9."""
    max: kinds.LatencyLimit | None = None
    """The latency that the quantile may reach, with its unit: 250ms. Against the champion it may be left out."""
    against: Literal["champion"] | None = None
    """champion measures the candidate against the champion, over the same time: it may reach max or the champion's own
    latency with the margin, whichever is more."""

    @model_validator(mode="after")
    def _limited(self) -> Self:
        if self.max is None and self.against is None:
            raise contradiction("is missing: name the latency that the quantile may reach, or against: champion", "max")
        return self

    @property
    def _measure(self) -> Against | None:
        return self.against

    def gate(self, name: str) -> Gate:
        return self._gate(name, "latency", self.max or 0.0, self.quantile)


class AgreementGate(_MeasuringGateKeys):
    """The candidate and the champion agree at least this often, on the requests that both answered."""

    metric: Literal["agreement"] = "agreement"
    """What is watched. A gate that is named after it need not say."""
    min: kinds.SmallestShare
    """The smallest share of pairs that agree, with its % sign: 98%."""
    min_coverage: kinds.Part = written("5%")
    """It does not pass while less than this of the pairs that could be compared were; status says why they were not."""
    against: Literal["noise_floor"] | None = None
    """noise_floor measures it against how often the champion differs from itself, which noise_probe_percent finds out:
    the candidate may differ as often as min allows, or as the champion does with the margin, whichever is more."""

    @property
    def _measure(self) -> Against | None:
        return self.against

    def gate(self, name: str) -> Gate:
        return replace(self._gate(name, "agreement", self.min), min_coverage=self.min_coverage)


AnyGate = Annotated[ErrorRateGate | LatencyGate | AgreementGate, Field(discriminator="metric")]
_METRICS: tuple[str, ...] = get_args(Metric)


def _told_by_name(rules: object) -> object:
    """Gives each gate that is named after a metric that metric."""
    if not isinstance(rules, dict):
        return rules
    named = {name: {"metric": name, **rules[name]} for name in _METRICS if isinstance(rules.get(name), dict)}
    return rules | named


def _true_to_name(gates: dict[str, AnyGate]) -> dict[str, AnyGate]:
    for name, gate in gates.items():
        if name in _METRICS and gate.metric != name:
            raise contradiction(f"expected {name}, as the gate is named after it", name, "metric")
    return gates


Gates = Annotated[dict[kinds.Name, AnyGate], BeforeValidator(_told_by_name), AfterValidator(_true_to_name)]


class BudgetKeys(Keys):
    """What may go wrong by chance in one rollout."""

    false_alarm: kinds.Share = written("1%")
    """The probability that any gate rolls back a candidate that keeps within all limits."""
    false_pass: kinds.Share = written("5%")
    """The probability that a gate passes, in one stage, a candidate that breaks its limit."""

    def budget(self) -> Budget:
        return Budget(self.false_alarm, self.false_pass)
