"""Who may begin: not a NO-GO, but by a named person's override with a reason, which is on record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from gates.controller.people import NoGo
from gates.decision import Command, MovedOn
from gates.evidence import Moments
from gates.phases import Event, IllegalEvent
from gates.ports import NotRegistered, RegistryError
from gates.promotion.offline import Score
from gates.promotion.outcomes import Joined
from gates.promotion.production import ShadowPeriod
from gates.promotion.report import Report, StageReport
from gates.promotion.rule import Bounds, Rule
from gates.promotion.staging import LoadGate
from gates.promotion.versions import VersionFacts
from gates.settings import PromotionGates
from gates.verdict import Light, Verdict
from proxy.snapshot import Phase
from tests.control import MODEL, PLAN, Desk, in_loop, model_settings

GATES = PromotionGates(
    offline=(Score(name="accuracy", keys=("accuracy",), bounds=Bounds(least=0.9)),),
    staging=(LoadGate(name="memory", measure="memory", bounds=Bounds(most=1.0)),),
)


@dataclass
class KnownVersions:
    """`gates.ports.Versions` that knows the accuracy of each version."""

    accuracy: dict[str, float] = field(default_factory=lambda: {"40": 0.95, "41": 0.96, "42": 0.8})
    trouble: str = ""

    def resolve(self, model: str, reference: str) -> str:
        return reference

    def champion(self, model: str) -> str | None:
        return "40"

    def facts(self, model: str, version: str) -> VersionFacts:
        if self.trouble:
            raise RegistryError(self.trouble)
        if version not in self.accuracy:
            raise NotRegistered(version)
        return VersionFacts(model, version, metrics={"accuracy": self.accuracy[version]})


class NoOutcomes:
    """`gates.ports.OutcomeStore` of a service whose labels never come."""

    def add(self, model: str, outcomes: Sequence[Joined], kept: Sequence[str]) -> int:
        return 0

    def tally(self, rollout: str) -> Mapping[str, Mapping[str, Moments]]:
        return {}


def desk(versions: KnownVersions | None = None) -> Desk:
    return Desk(replace(model_settings(), promotion=GATES, candidate=None), versions=versions or KnownVersions())


def staging(light: Verdict, candidate: str = "41") -> Report:
    stage = StageReport.of("staging", [Rule(name="memory").result(light, 2.0, 1.0, "2 MiB", "Locust")])
    return Report.of(MODEL, candidate, "40", 1.0, [stage])


@in_loop
async def test_a_no_go_does_not_begin_and_says_why() -> None:
    async with desk() as started:
        with pytest.raises(NoGo, match=r"version 42: offline gates are NO-GO: accuracy: accuracy 0\.8: at least 0\.9"):
            await started.controller.start_rollout(MODEL, "42", "ada", "trial")
        assert (started.phase, started.route.candidate) == (Phase.IDLE, None)
        (row, *_) = await started.controller.queries.events(MODEL, 10)
        assert (row.event, row.reason) == ("gate", "version 42: offline NO-GO")
        await started.controller.start_rollout(MODEL, "41", "ada", "trial")
        assert started.phase is Phase.SHADOW


@in_loop
async def test_a_named_person_goes_on_against_it_with_a_reason_on_record() -> None:
    async with desk() as started:
        with pytest.raises(NoGo, match="needs a reason"):
            await started.controller.start_rollout(MODEL, "42", "ada", " ", override=True)
        await started.controller.start_rollout(MODEL, "42", "ada", "hotfix, tested by hand", override=True)
        assert started.phase is Phase.SHADOW
        rows = [row for row in await started.controller.queries.events(MODEL, 10) if row.event == "override"]
        assert [(row.by, row.reason.partition(" (against")[0]) for row in rows] == [("ada", "hotfix, tested by hand")]


@in_loop
async def test_the_newest_staging_report_counts() -> None:
    async with desk() as started:
        await started.controller.promotions.record(staging(Verdict.PASS), "ci")
        await started.controller.promotions.record(staging(Verdict.FAIL), "ci")
        with pytest.raises(NoGo, match="staging gates are NO-GO: memory: 2 MiB"):
            await started.controller.start_rollout(MODEL, "41", "ada", "trial")
        await started.controller.promotions.record(staging(Verdict.FAIL, candidate="43"), "ci")
        await started.controller.promotions.record(staging(Verdict.PASS), "ci")
        await started.controller.start_rollout(MODEL, "41", "ada", "trial")
        assert started.phase is Phase.SHADOW


@in_loop
async def test_without_a_registry_the_newest_offline_report_counts() -> None:
    """Judged where there is one, such as in a pipeline, and recorded."""
    async with Desk(replace(model_settings(), promotion=GATES, candidate=None)) as started:
        for verdict in (Verdict.PASS, Verdict.FAIL):
            stage = StageReport.of("offline", [Rule(name="auc").result(verdict, 0.7, 0.8, "auc 0.7", "MLflow")])
            await started.controller.promotions.record(Report.of(MODEL, "41", "40", 1.0, [stage]), "ci")
        with pytest.raises(NoGo, match=r"offline gates are NO-GO: auc: auc 0\.7"):
            await started.controller.start_rollout(MODEL, "41", "ada", "trial")
        await started.controller.start_rollout(MODEL, "43", "ada", "never judged")
        assert started.phase is Phase.SHADOW


@in_loop
async def test_a_registry_that_cannot_say_is_no_go_ahead() -> None:
    async with desk(KnownVersions(trouble="it is out of reach")) as started:
        with pytest.raises(RegistryError, match="out of reach"):
            await started.controller.start_rollout(MODEL, "41", "ada", "trial")
        await started.controller.start_rollout(MODEL, "41", "ada", "the registry is down", override=True)
        assert started.phase is Phase.SHADOW


@in_loop
async def test_a_candidate_of_the_configuration_is_held_to_the_same() -> None:
    model = replace(model_settings(), promotion=GATES)
    async with Desk(model, versions=KnownVersions()) as started:
        await started.controller.resolve()
        assert [row.reason for row in started.store.audit if row.event == "gate"] == ["version 42: offline NO-GO"]
        assert started.phase is Phase.IDLE


@in_loop
async def test_approvals_are_on_record_the_newest_of_each_side() -> None:
    async with desk() as started:
        await started.controller.promotions.approve(MODEL, "41", "business", "bo", "fine")
        await started.controller.promotions.approve(MODEL, "41", "business", "cy", "")
        await started.controller.promotions.approve(MODEL, "42", "security", "eve", "")
        rows = await started.controller.queries.events(MODEL, 10)
        assert [row.event for row in rows if row.event == "approve"] == ["approve"] * 3


def test_no_report_has_a_light_that_its_gates_have_not() -> None:
    assert staging(Verdict.FAIL).light is Light.NO_GO


@in_loop
async def test_to_advance_in_the_bake_is_no_way_round_the_production_gates() -> None:
    gates = PromotionGates(production=(ShadowPeriod(name="shadow_period", least=100.0),))
    async with Desk(model_settings(promotion=gates), outcomes=NoOutcomes()) as baking:
        for _ in PLAN.stages[1:]:
            await baking.command(Event.CLIMB)
        for phase in (Phase.BAKE, Phase.PAUSED):
            assert baking.phase is phase
            with pytest.raises(IllegalEvent):
                await baking.command(Event.CLIMB)
            if phase is Phase.BAKE:
                await baking.command(Event.PAUSE)
        assert baking.route.champion.version == "40"


@in_loop
async def test_a_promotion_by_hand_is_held_to_the_production_gates() -> None:
    gates = PromotionGates(production=(ShadowPeriod(name="shadow_period", least=100.0),))
    model = replace(model_settings(), promotion=gates, candidate=None)
    async with Desk(model, outcomes=NoOutcomes()) as started:
        await started.controller.start_rollout(MODEL, "41", "ada", "trial")
        await started.command(Event.CLIMB)
        command = Command(Event.PROMOTE, "ada", "hotfix")
        with pytest.raises(NoGo, match="production gates are NO-GO: shadow_period: 0 s in shadow"):
            await started.controller.promotions.promote(MODEL, command, override=False)
        assert (started.phase, started.route.ramp_bp) == (Phase.RAMP, 500)
        with pytest.raises(MovedOn):
            await started.controller.promotions.promote(MODEL, replace(command, epoch=1), override=True)
        events = [row.event for row in await started.controller.queries.events(MODEL, 10)]
        assert "override" not in events, "nobody went on against the gates"
        await started.controller.promotions.promote(MODEL, command, override=True)
        assert started.phase is Phase.PROMOTED
        events = [row.event for row in await started.controller.queries.events(MODEL, 10)]
        assert events[:2] == ["promote", "override"]
