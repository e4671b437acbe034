"""From where things stand and what is seen to what people are told: the builders of the shapes in `gates.status`."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

from gates.controller.history import BAND_ALPHA
from gates.controller.observer import Observer
from gates.controller.outbox import facts_of
from gates.controller.watch import Watch, served_in
from gates.decision import held_by, waiting_for
from gates.drift import drifts
from gates.evidence import Tally, rate_band
from gates.health import Health, champion_health
from gates.outlook import Forecast, forecast, stage_name, warnings
from gates.phases import CLIMBING, ENDED, wishes_in
from gates.plan import Plan
from gates.ports import RolloutFacts
from gates.rollout import Rollout
from gates.state import Serving
from gates.status import AgreementStatus, LaneStatus, ModelStatus, RolloutStatus, SliceStatus, StageStatus
from gates.verdict import light
from proxy.snapshot import ModelRoute, Phase, Snapshot
from proxy.tally import LANES, AgreementTally, LaneTally, SliceTally


def model_status(
    snapshot: Snapshot, observer: Observer, route: ModelRoute, serving: Serving, served: Container[str]
) -> ModelStatus:
    """`served` are the versions that have servers."""
    past = (serving.previous, serving.fallback)
    watch = observer.watches.get(route.model)
    return ModelStatus(
        model=route.model,
        champion=route.champion.version,
        candidate=route.candidate.version if route.candidate else None,
        phase=route.phase,
        percent=route.ramp_bp / 100,
        generation=snapshot.generation,
        rollout=None if watch is None else _rollout(watch, observer, route),
        possible=wishes_in(route.phase),
        previous=serving.previous,
        fallback=serving.fallback,
        warm=tuple(version for version in past if version and version in served),
    )


def figures(observer: Observer) -> Iterator[tuple[RolloutFacts, Mapping[str, float]]]:
    """The figures of each carrying rollout that are worth a curve, by name."""
    for watch in observer.carrying():
        seen = watch.seen
        values = {f"gate/{result.gate}": result.value for result in seen.verdicts}
        progress = {f"gate/{result.gate}/toward_pass": result.toward_pass for result in seen.verdicts}
        share = {"ramp_percent": watch.rollout.share_bp / 100, "requests": float(seen.requests)}
        yield facts_of(watch.rollout), {k: v for k, v in {**share, **values, **progress}.items() if v is not None}


def _rollout(watch: Watch, observer: Observer, route: ModelRoute) -> RolloutStatus:
    rollout, window, seen = watch.rollout, watch.window, watch.seen
    terms = rollout.terms
    epochs = observer.ledger.windows(rollout.model, rollout.begun, rollout.epoch)
    return RolloutStatus(
        id=rollout.id,
        candidate=rollout.candidate,
        started_by=rollout.started_by,
        phase=rollout.phase,
        position=rollout.position,
        epoch=rollout.epoch,
        stages=tuple(_stages(rollout, terms.plan)),
        elapsed=seen.elapsed,
        requests=seen.requests,
        waiting_for=tuple(_waiting_for(watch)),
        light=light(seen.verdicts),
        gates=seen.verdicts,
        lanes={lane: _lane(window.lane(lane)) for lane in LANES},
        agreement=_agreement(window.agreement, window.noise),
        shadow_dropped=window.shadow.dropped,
        fallbacks=window.fallbacks,
        candidate_served=sum(served_in(window) for _, window in epochs),
        ended_by_gate=rollout.gate if rollout.phase in ENDED else "",
        reason=rollout.reason,
        forecasts=tuple(_forecasts(watch)),
        false_alarm=terms.budget.false_alarm,
        false_alarm_each=rollout.alarm_alpha,
        warnings=tuple(_warnings(watch, route)),
        bad_answers=seen.bad_answers,
        max_bad_answers=terms.plan.max_bad_answers,
        champion=_champion(watch, observer),
        dry_run=terms.plan.dry_run,
        stepped_down=rollout.stepped_down,
        overdue=rollout.overdue,
        outputs=drifts(window.champion_outputs, window.candidate_outputs),
        slices={name: tuple(_slices(values)) for name, values in sorted(window.slices.items())},
        held_by=tuple(held_by(rollout, seen)) if rollout.phase in CLIMBING else (),
        stuck=watch.stuck,
    )


def _forecasts(watch: Watch) -> Iterator[Forecast]:
    """Of the gates that were looked at in this stage."""
    rollout, terms = watch.rollout, watch.rollout.terms
    if rollout.carrying:
        for gate, evidence in zip(terms.gates_at(rollout.position), watch.evidence, strict=False):
            yield forecast(
                gate, evidence, watch.window, watch.seen.elapsed, rollout.alarm_alpha, terms.budget.false_pass
            )


def _warnings(watch: Watch, route: ModelRoute) -> Iterator[str]:
    """By the rate at which clients have asked in this stage so far."""
    terms, window, elapsed = watch.rollout.terms, watch.window, watch.seen.elapsed
    asked = window.champion.answers + window.candidate.answers - window.fallbacks
    rate = asked / elapsed if elapsed > 0 else None
    if watch.rollout.carrying:
        yield from warnings(terms.plan, terms.gates, terms.budget, route.shadow.share_bp, rate)


def _champion(watch: Watch, observer: Observer) -> Health:
    rollout = watch.rollout
    if rollout.phase is not Phase.ROLLED_BACK:
        return watch.seen.champion
    since = observer.ledger.window(rollout.model, rollout.epoch)
    return champion_health(rollout.terms.gates, since, rollout.terms.budget)


def _stages(rollout: Rollout, plan: Plan) -> Iterator[StageStatus]:
    for position, stage in enumerate(plan.stages):
        done = position < rollout.position or rollout.phase is Phase.PROMOTED
        now = position == rollout.position and rollout.carrying
        yield StageStatus(
            name=stage_name(plan, position),
            percent=stage.share_bp / 100,
            min_duration=stage.min_duration,
            min_requests=stage.min_requests,
            approval=stage.approval,
            state="done" if done else "now" if now else "ahead",
        )


def _waiting_for(watch: Watch) -> list[str]:
    match watch.rollout.phase:
        case Phase.AWAITING_APPROVAL:
            return ["a person's approval"]
        case Phase.PAUSED:
            return ["a person to resume it"]
        case phase:
            return waiting_for(watch.rollout, watch.seen) if phase in CLIMBING else []


def _lane(tally: LaneTally) -> LaneStatus:
    p50, p99 = (_millis(tally.latency.quantile(share)) for share in (0.5, 0.99))
    return LaneStatus(tally.answers, tally.failures, p50, p99, tally.errors, tally.abandoned.total)


def _slices(values: Mapping[str, SliceTally]) -> Iterator[SliceStatus]:
    for value, tally in sorted(values.items(), key=lambda one: (-one[1].champion.answers, one[0])):
        yield SliceStatus(value, _lane(tally.champion), _lane(tally.candidate), tally.compared, tally.disagreed)


def _millis(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def _agreement(tally: AgreementTally, noise: AgreementTally) -> AgreementStatus:
    band = rate_band(Tally(tally.disagreed, tally.compared), BAND_ALPHA)
    return AgreementStatus(
        tally.compared,
        tally.disagreed,
        _agreed(tally),
        tally.findings,
        low=1 - band.upper,
        high=1 - band.lower,
        noise=_agreed(noise),
        noise_compared=noise.compared,
        coverage=tally.coverage,
        skipped=tally.skipped,
        gap_p50=tally.gaps.quantile(0.5),
        gap_p99=tally.gaps.quantile(0.99),
        largest_gap=tally.largest_gap,
        rows=tally.rows,
        rows_disagreed=tally.rows_disagreed,
    )


def _agreed(tally: AgreementTally) -> float | None:
    return (tally.compared - tally.disagreed) / tally.compared if tally.compared else None
