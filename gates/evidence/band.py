"""The band that holds a rate at all times at once.

With S events among n trials and a Beta(1/2, 1/2) mixture over the rate, M_n(p) = B(S + 1/2, n - S + 1/2) /
(B(1/2, 1/2) p^S (1-p)^(n-S)) is a martingale where p is the true rate, so the rates with M_n(p) < 1/alpha hold it at
every n together with probability 1 - alpha (Ville's inequality): the band may be drawn after every request and be
believed each time.

Source: Robbins 1970, "Statistical methods related to the law of the iterated logarithm"; Howard et al. 2021, arXiv
1810.08240, section 3.2."""

from __future__ import annotations

import math

from gates.evidence.lift import Range
from gates.evidence.mixture import threshold
from gates.evidence.rate import Tally

HALVINGS = 40


def rate_band(tally: Tally, alpha: float) -> Range:
    """The rates that `tally` leaves possible, all of [0, 1] where it is empty.

    Raises ValueError unless 0 < alpha < 1."""
    limit, rate = threshold(alpha), tally.events / tally.trials if tally.trials else 0.5
    return Range(_edge(tally, limit, rate, 0.0), _edge(tally, limit, rate, 1.0))


def _edge(tally: Tally, limit: float, inside: float, outside: float) -> float:
    """The border of the band between the observed rate, which is in it, and an end of the scale."""
    if _log_mixture(tally, outside) < limit:
        return outside
    for _ in range(HALVINGS):
        middle = (inside + outside) / 2
        if _log_mixture(tally, middle) < limit:
            inside = middle
        else:
            outside = middle
    return outside


def _log_mixture(tally: Tally, rate: float) -> float:
    events, clean = tally.events, tally.trials - tally.events
    if (rate <= 0 and events) or (rate >= 1 and clean):
        return math.inf
    log_beta = math.lgamma(events + 0.5) + math.lgamma(clean + 0.5) - math.lgamma(tally.trials + 1) - math.log(math.pi)
    return log_beta - (events * math.log(rate) if events else 0) - (clean * math.log1p(-rate) if clean else 0)
