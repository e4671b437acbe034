"""The keys of a gate over Prometheus."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gates.promotion.rule import Bounds
from gates.promotion.series import SeriesGate, Trend
from gates.settings import kinds
from gates.settings.kinds import contradiction, written
from gates.settings.promotion.rules import BoundKeys


class PrometheusKeys(BoundKeys):
    """The value of a PromQL query. No data is INSUFFICIENT, and never a pass."""

    metric: Literal["prometheus"]
    """prometheus asks the server of --prometheus-url, or of the configuration."""
    query: Annotated[str, Field(min_length=1, max_length=4000)]
    """In PromQL. Where it gives several series, the worst is judged."""
    unit: Literal["", "s", "%"] = ""
    """How people read the value: s for seconds, % for a share from 0 to 1."""
    sustained: kinds.Duration = written("0s")
    """FAIL only what was outside for so long without a break."""
    trend: Trend | None = None
    """not_falling or not_rising, over the time `over`."""
    over: kinds.Duration = written("0s")
    """The time that a trend, or a runaway's baseline, is looked at over."""
    tolerance: kinds.Share = written("5%")
    """How far a trend may go the wrong way, as a share of the median."""
    runaway: Annotated[float, Field(gt=1, allow_inf_nan=False)] | None = None
    """The newest value may be at most so many times the median of the time `over`."""

    @model_validator(mode="after")
    def _asking(self) -> Self:
        looks_back = self.trend is not None or self.runaway is not None
        if self.min is None and self.max is None and not looks_back:
            raise contradiction("asks for nothing: name min, max, trend or runaway")
        if looks_back and not self.over:
            raise contradiction("is missing: the time that a trend or a runaway is looked at over, such as 2h", "over")
        if self.sustained and self.min is None and self.max is None:
            raise contradiction("says nothing without min or max", "sustained")
        return self

    def gate(self, name: str) -> SeriesGate:
        return SeriesGate(
            name=name,
            severity=self.severity,
            query=self.query,
            bounds=Bounds(self.min, self.max, self.unit),
            sustained=self.sustained,
            trend=self.trend,
            over=self.over,
            tolerance=self.tolerance,
            runaway=self.runaway,
        )
