"""An e-process that also notices faults that begin late.

Evidence that only ever adds up forgets slowly: after 20 000 good requests a new fault has to outweigh all of them. So
each of the 32 alternatives starts anew at every tick, with a little weight w_t, and their sum is what Shiryaev and
Roberts watch: R <- (R + w_t) L_t, with L_t the tick's likelihood ratio. Three fifths of the weight lie on a fault that
is there from the start; the rest is spread over all later trials, with the part N / (N + n) of it still unspent after n
of them. The weights never sum to more than 1, so the mean of the 32 is an e-process without any horizon, and one
threshold, 1/alpha, covers both kinds of fault: no alpha has to be split between them.

It is the e-SR detector with a spent prior in place of the threshold N/alpha: for n well below N each trial weighs about
1/N, and beyond N the guarantee goes on holding. How the trials are cut into ticks changes nothing but how finely
a start can be placed. Valid if a tick ends by the clock or by counts of trials, never by what came out of them.

Source: Shin, Ramdas & Rinaldo, E-detectors: a nonparametric framework for sequential change detection, 2023."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from gates.evidence.mixture import GRID_POINTS, Vector, log_mean

LATE = 0.4
HALF_SPENT = 20_000


def begin(late: float = LATE) -> Vector:
    """The logarithms of the mixture before the first trial, with the part `late` kept back for faults that begin later;
    0 makes it the plain product of all ticks. Raises ValueError unless 0 <= late < 1."""
    if not 0 <= late < 1:
        raise ValueError(f"late {late} is not between 0 and 1")
    return np.full(GRID_POINTS, np.log1p(-late))


def advance(logs: Vector, seen: ArrayLike, trials: ArrayLike, factors: Vector, late: float = LATE) -> Vector:
    """The mixture after a tick of `trials` trials with these log factors, `seen` trials having come before it.

    Shapes: (..., 32) for `logs` and `factors`, (...) for the counts."""
    before = np.asarray(seen, dtype=np.float64)[..., None]
    after = before + np.asarray(trials, dtype=np.float64)[..., None]
    weight = late * HALF_SPENT * (after - before) / ((HALF_SPENT + before) * (HALF_SPENT + after))
    with np.errstate(divide="ignore"):  # no trials, no weight: log 0 is -inf, which logaddexp takes
        mixture: Vector = np.logaddexp(logs, np.log(weight)) + factors
    return mixture


@dataclass(frozen=True, slots=True)
class EProcess:
    """An e-process under way: the trials it has seen, and the logarithms of its mixture.

    Everything it knows; JSON keeps each number exactly, so that a restart changes nothing."""

    trials: int
    late: float
    logs: tuple[float, ...]

    @classmethod
    def fresh(cls, late: float = LATE) -> EProcess:
        return cls(0, late, tuple(begin(late).tolist()))

    @property
    def log_evidence(self) -> float:
        """log E: reject at level alpha once it reaches log(1/alpha)."""
        return float(log_mean(np.array(self.logs)))

    def advanced(self, trials: int, factors: Vector) -> EProcess:
        """After a tick of `trials` trials with these 32 log factors. Raises ValueError for a negative number."""
        if trials < 0:
            raise ValueError(f"a tick of {trials} trials")
        logs = advance(np.array(self.logs), self.trials, trials, factors, self.late)
        return replace(self, trials=self.trials + trials, logs=tuple(logs.tolist()))
