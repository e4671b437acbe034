"""The keys of a promotion file: the gates of each stage from the registry to production, each under its own name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationInfo, field_validator

from gates.promotion.offline import OfflineGate
from gates.promotion.production import ProductionGate
from gates.promotion.remedies import Remedy
from gates.promotion.report import STAGES
from gates.promotion.series import SeriesGate
from gates.promotion.staging import StagingGate
from gates.promotion.underway import UnderWay, under_way
from gates.settings import kinds
from gates.settings.kinds import Keys, contradiction, written
from gates.settings.promotion.offline import OfflineKeys
from gates.settings.promotion.production import ProductionKeys
from gates.settings.promotion.remedies import RemedyKeys
from gates.settings.promotion.rules import made
from gates.settings.promotion.series import PrometheusKeys
from gates.settings.promotion.staging import StagingKeys


@dataclass(frozen=True, slots=True)
class PromotionGates:
    """The gates of every stage but the live ones that watch windows; `live` are those over Prometheus."""

    offline: tuple[OfflineGate, ...] = ()
    staging: tuple[StagingGate, ...] = ()
    live: tuple[SeriesGate, ...] = ()
    production: tuple[ProductionGate, ...] = ()
    remedies: tuple[Remedy, ...] = ()

    @property
    def under_way(self) -> tuple[UnderWay, ...]:
        """Those that are judged while a rollout is under way."""
        return tuple(under_way(self.live, self.production))


NO_GATES = PromotionGates()


class PromotionKeys(Keys):
    """The gates of each stage of a promotion; a stage that is not named has none."""

    offline: OfflineKeys = written({})
    """Before staging: what the registry knows of the version, alone and beside the champion."""
    staging: StagingKeys = written({})
    """Before production: a server of the version under load."""
    live: dict[kinds.Name, PrometheusKeys] = written({})
    """In production: what Prometheus sees, beside the gates that watch the rollout's own traffic."""
    production: ProductionKeys = written({})
    """Before the end: shadow, limits, outcomes and people."""

    remedies: dict[kinds.Name, RemedyKeys] = written({})
    """What is done about a critical gate that fails, by the gate's name: only where --remedy asks for it."""

    @field_validator("remedies")
    @classmethod
    def _of_gates(cls, remedies: dict[str, RemedyKeys], info: ValidationInfo) -> dict[str, RemedyKeys]:
        gates = {name: gate for stage in STAGES for name, gate in info.data.get(stage, {}).items()}
        for name in remedies:
            if name not in gates:
                raise contradiction(f"there is no gate {name}; there are: {', '.join(gates) or 'none'}", name)
            if gates[name].severity == "advisory":
                raise contradiction(f"gate {name} is advisory, and never a NO-GO", name)
        return remedies

    @property
    def under_way(self) -> Iterator[tuple[str, str, str]]:
        """(stage, name, metric) of those that are judged while a rollout is under way."""
        for stage, gates in (("live", self.live), ("production", self.production)):
            yield from ((stage, name, gate.metric) for name, gate in gates.items())

    def gates(self) -> PromotionGates:
        return PromotionGates(
            offline=made(self.offline),
            staging=made(self.staging),
            live=made(self.live),
            production=made(self.production),
            remedies=tuple(remedy.remedy(name) for name, remedy in self.remedies.items()),
        )
