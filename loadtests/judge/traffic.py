"""Simulated traffic: what a champion and a candidate answered, second by second, in many rollouts at once.

A trial lasts an hour, with a tenth of the requests going to the candidate. Arrays have the shape (seconds, rollouts).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Counts = NDArray[np.int32]

SECONDS = 3600
SHARE = 0.1
ERRORS = 0.005
OUTAGE = slice(1200, 1500)
LIMIT_MS = 300.0
P99_MS = 200.0
SPREAD = 0.5
USERS = 10_000


@dataclass(frozen=True, slots=True)
class Scenario:
    """A candidate and its hour. `fault` is its error rate from second `onset` on, `outage` that of both arms for five
    minutes, `slowdown` what its latencies are multiplied by; a healthy arm fails at 0.5 %, with a p99 of 200 ms."""

    name: str
    fault: float | None = None
    onset: int = 0
    outage: float | None = None
    slowdown: float = 1.0
    requests_per_second: float = 100.0
    sticky: bool = False

    @property
    def faulty(self) -> bool:
        return self.fault is not None or self.slowdown > 1


SCENARIOS = (
    Scenario("healthy"),
    Scenario("errors 2 %", fault=0.02),
    Scenario("errors 5 %", fault=0.05),
    Scenario("errors 20 %", fault=0.2),
    Scenario("errors 100 %", fault=1.0),
    Scenario("latency x 1.8", slowdown=1.8),
    Scenario("5 % after 20 000", fault=0.05, onset=2000),
    Scenario("outage of both", outage=0.3),
    Scenario("low traffic", requests_per_second=1.0),
    Scenario("low traffic, 20 %", fault=0.2, requests_per_second=1.0),
    Scenario("sticky users", sticky=True),
)


@dataclass(frozen=True, slots=True)
class Arms:
    """Answers and failures of both arms. `slow` are the candidate's answers that took longer than the limit."""

    answers: Counts
    errors: Counts
    slow: Counts
    champion_answers: Counts
    champion_errors: Counts


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was answered, and what of it counts as evidence where a key counts once."""

    scenario: Scenario
    answered: Arms
    counted: Arms


def simulate(scenario: Scenario, rollouts: int, rng: np.random.Generator) -> Traffic:
    if scenario.sticky:
        return _sticky(scenario, rollouts, rng)
    shape = (SECONDS, rollouts)
    candidate, champion = np.full(SECONDS, ERRORS), np.full(SECONDS, ERRORS)
    if scenario.outage is not None:
        candidate[OUTAGE] = champion[OUTAGE] = scenario.outage
    if scenario.fault is not None:
        candidate[scenario.onset :] = scenario.fault
    answers = rng.poisson(scenario.requests_per_second * SHARE, shape).astype(np.int32)
    champion_answers = rng.poisson(scenario.requests_per_second * (1 - SHARE), shape).astype(np.int32)
    arms = Arms(
        answers,
        rng.binomial(answers, candidate[:, None]).astype(np.int32),
        rng.binomial(answers, slow_share(scenario.slowdown)).astype(np.int32),
        champion_answers,
        rng.binomial(champion_answers, champion[:, None]).astype(np.int32),
    )
    return Traffic(scenario, arms, arms)


def slow_share(slowdown: float) -> float:
    """The share of lognormal latencies above the limit."""
    return float(1 - ndtr(math.log(LIMIT_MS / (P99_MS * slowdown)) / SPREAD + 2.3263478740408408))


def _sticky(scenario: Scenario, rollouts: int, rng: np.random.Generator) -> Traffic:
    """Users stay with one arm. Some send far more than others (Pareto, 1.1), and each has an error rate of its own
    (Beta, 0.5 % in the mean, nearly all of it borne by one user in eighty)."""
    every: list[tuple[Counts, ...]] = []
    for _ in range(rollouts):
        share = round(USERS * SHARE)
        ours = _arm(share, scenario.requests_per_second * SHARE, rng)
        theirs = _arm(USERS - share, scenario.requests_per_second * (1 - SHARE), rng)
        every.append((*ours, *theirs))
    answers, errors, keys, bad_keys, their_answers, their_errors, their_keys, their_bad_keys = (
        np.stack(column, axis=1) for column in zip(*every, strict=True)
    )
    slow = rng.binomial(answers, slow_share(scenario.slowdown)).astype(np.int32)
    slow_keys = rng.binomial(keys, slow_share(scenario.slowdown)).astype(np.int32)
    return Traffic(
        scenario,
        Arms(answers, errors, slow, their_answers, their_errors),
        Arms(keys, bad_keys, slow_keys, their_keys, their_bad_keys),
    )


def _arm(users: int, requests_per_second: float, rng: np.random.Generator) -> tuple[Counts, Counts, Counts, Counts]:
    """Per second: answers, errors, and the same of each user's first request alone."""
    requests = rng.poisson(requests_per_second * SECONDS)
    weights = np.cumsum(rng.pareto(1.1, users) + 1)
    user = np.searchsorted(weights, rng.random(requests) * weights[-1])
    second = np.sort(rng.integers(0, SECONDS, requests))
    failed = rng.random(requests) < rng.beta(0.02, 3.98, users)[user]
    first = np.full(users, requests)
    first[user[::-1]] = np.arange(requests)[::-1]  # the last write stands: that of the user's first request
    first = first[first < requests]

    def per_second(which: NDArray[np.int64]) -> Counts:
        return np.bincount(second[which], minlength=SECONDS).astype(np.int32)

    return (
        per_second(np.arange(requests)),
        per_second(np.flatnonzero(failed)),
        per_second(first),
        per_second(first[failed[first]]),
    )
