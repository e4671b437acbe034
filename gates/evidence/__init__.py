"""Evidence that may be looked at all the time.

An e-process has expectation at most 1 under its null hypothesis at every stopping time, so the probability that it ever
reaches 1/alpha is at most alpha (Ville's inequality): a gate can be judged after each request without any correction
for the looks. All functions need counts only and return log E, so that windows of many workers are merged before the
evidence is taken.

rate      a rate against a bound, and with it a latency quantile against a bound
ratio     a rate against the champion's; a disagreement rate against the noise floor
band      the rates that counts leave possible, at all times at once
paired    two versions that answered the same requests
quantile  a latency quantile against the champion's
lift      a mean against the champion's
process   evidence tick by tick, which also notices faults that begin late
combine   two of these as one
watch     what a controller keeps of a gate between its looks
forecast  how many requests a gate will need
"""

from gates.evidence.band import rate_band
from gates.evidence.combine import both, either
from gates.evidence.forecast import (
    requests_to_fail,
    requests_to_pass,
    requests_to_show_no_worse,
    requests_to_show_worse,
)
from gates.evidence.lift import Moments, Range, lift_range, mean_range
from gates.evidence.mixture import GRID_POINTS, threshold
from gates.evidence.paired import log_evidence_paired_no_worse, log_evidence_paired_worse, pair_bound
from gates.evidence.process import EProcess
from gates.evidence.quantile import (
    Interval,
    log_evidence_no_slower,
    log_evidence_slower,
    quantile_interval,
    slower_than,
)
from gates.evidence.rate import (
    LARGEST_RATE,
    Tally,
    fewest_to_fail,
    log_evidence_above,
    log_evidence_below,
    most_to_pass,
)
from gates.evidence.watch import RateWatch, RatioWatch

__all__ = [
    "GRID_POINTS",
    "LARGEST_RATE",
    "EProcess",
    "Interval",
    "Moments",
    "Range",
    "RateWatch",
    "RatioWatch",
    "Tally",
    "both",
    "either",
    "fewest_to_fail",
    "lift_range",
    "log_evidence_above",
    "log_evidence_below",
    "log_evidence_no_slower",
    "log_evidence_paired_no_worse",
    "log_evidence_paired_worse",
    "log_evidence_slower",
    "mean_range",
    "most_to_pass",
    "pair_bound",
    "quantile_interval",
    "rate_band",
    "requests_to_fail",
    "requests_to_pass",
    "requests_to_show_no_worse",
    "requests_to_show_worse",
    "slower_than",
    "threshold",
]
