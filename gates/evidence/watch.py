"""What a controller keeps of a gate between its looks.

A watch is fed the stage's totals, as the merged windows give them, and takes the tick from what it has seen before: the
same totals twice are one look, and looks that were lost make one longer tick. So it needs no care about restarts."""

from __future__ import annotations

from dataclasses import dataclass, field

from gates.evidence.process import EProcess
from gates.evidence.rate import Tally, factors_above
from gates.evidence.ratio import factors_no_worse, factors_worse

UNSEEN = Tally()


@dataclass(frozen=True, slots=True)
class RateWatch:
    """Watches for a rate above its bound, from the start or from later on.

    (That a rate is below its bound is told by the totals alone: `log_evidence_below`.)"""

    seen: Tally = UNSEEN
    above: EProcess = field(default_factory=EProcess.fresh)

    def looked(self, totals: Tally, bound: float) -> RateWatch:
        """After a look at the totals so far. Raises ValueError where they are fewer than those already seen."""
        events, trials = totals.since(self.seen)
        return RateWatch(totals, self.above.advanced(trials, factors_above(events, trials, bound)))


@dataclass(frozen=True, slots=True)
class RatioWatch:
    """Watches two arms: whether the candidate's rate is above (1 + margin) times the champion's, or below."""

    seen: Tally = UNSEEN
    champion_seen: Tally = UNSEEN
    worse: EProcess = field(default_factory=EProcess.fresh)
    no_worse: EProcess = field(default_factory=lambda: EProcess.fresh(late=0.0))

    def looked(self, totals: Tally, champion: Tally, margin: float) -> RatioWatch:
        """After a look at the totals so far; a tick in which either arm was silent stays open until both have answered.

        Raises ValueError where the totals are fewer than those already seen."""
        events, trials = totals.since(self.seen)
        champion_events, champion_trials = champion.since(self.champion_seen)
        if trials == 0 or champion_trials == 0:
            return self
        counts = (events, trials, champion_events, champion_trials)
        return RatioWatch(
            totals,
            champion,
            self.worse.advanced(trials, factors_worse(*counts, margin)),
            self.no_worse.advanced(trials, factors_no_worse(*counts, margin)),
        )
