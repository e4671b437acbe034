"""What is measured: the scenarios, each a list of neighbouring cases, and what they are meant to show."""

from __future__ import annotations

from dataclasses import dataclass, replace

from loadtests.bench.bodies import SMALL, Answers
from loadtests.bench.upstreams import Health

KB = 1000
MB = 1000 * KB


@dataclass(frozen=True, slots=True)
class Case:
    """One contender under one load. `body` is in bytes, both ways; a paced load is the share `pace` of what the
    contender, or the one named by `at_the_pace_of`, takes with a healthy candidate. `answers`: is the candidate's the
    champion's own, or another within tolerance."""

    contender: str
    body: int = SMALL
    connections: int = 32
    models: int = 1
    answers: Answers = "close"
    candidate: Health = "healthy"
    pace: float | None = None
    at_the_pace_of: str = ""

    @property
    def label(self) -> str:
        parts = [
            self.contender,
            "equal answers" if self.answers == "equal" else "",
            f"{self.models} models" if self.models > 1 else "",
            f"candidate {self.candidate}" if self.pace else "",
        ]
        return ", ".join(filter(None, parts))


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on a measure of one case: on the ratio to its neighbour where there is one to be measured `against`,
    else on its worst run. Without bounds it is a figure to be told, and no more."""

    measure: str
    of: Case
    against: Case | None = None
    at_least: float | None = None
    at_most: float | None = None

    def met_by(self, value: float) -> bool | None:
        if self.at_least is None and self.at_most is None:
            return None
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Cases in the order in which they run: what is compared stands side by side, and may stand more than once."""

    name: str
    title: str
    cases: tuple[Case, ...]
    goals: tuple[Goal, ...] = ()

    def limited_to(self, contenders: frozenset[str]) -> Scenario:
        """The same scenario with some contenders left out, and all that would have been said about them."""
        return replace(
            self,
            cases=tuple(case for case in self.cases if case.contender in contenders),
            goals=tuple(
                goal for goal in self.goals if {goal.of.contender, (goal.against or goal.of).contender} <= contenders
            ),
        )


def _throughput(
    name: str,
    title: str,
    body: int = SMALL,
    connections: int = 32,
    envoy_mirror: float | None = None,
    nginx_mirror: float | None = None,
    envoy: float | None = None,
) -> Scenario:
    """Every contender under one load, ours beside those that it is measured against. The last three bound our requests
    a second, as a multiple of theirs; the one with copies is the one that has to parse both answers."""
    cases = {contender: Case(contender, body, connections) for contender in _LINE_UP}
    shadow, beside = cases["penstock+shadow"], cases["envoy+mirror"]
    equal = replace(shadow, answers="equal")
    goals = (
        Goal("rate", shadow, beside, at_least=envoy_mirror),
        Goal("rate", equal, beside),
        Goal("rate", shadow, cases["nginx+mirror"], at_least=nginx_mirror),
        Goal("rate", cases["penstock"], cases["envoy"], at_least=envoy),
        Goal("cpu", shadow, beside),
    )
    return Scenario(name, title, (*cases.values(), equal), goals)


_LINE_UP = ("direct", "nginx", "envoy", "penstock", "nginx+mirror", "penstock+shadow", "envoy+mirror")


def _small() -> Scenario:
    """The headline: the ratios, and what one worker needs."""
    title = "Small bodies, 32 connections"
    scenario = _throughput("small", title, envoy_mirror=1.25, nginx_mirror=1.1, envoy=1.0)
    plain, shadow = Case("penstock"), Case("penstock+shadow")
    goals = (
        Goal("p99", shadow, Case("envoy+mirror"), at_most=1.0),
        Goal("p99", shadow, Case("nginx+mirror"), at_most=1.0),
        *(Goal("rss", case, at_most=64) for case in (plain, shadow)),
        *(Goal("ready", case, at_most=1.0) for case in (plain, shadow)),
    )
    return replace(scenario, goals=(*scenario.goals, *goals))


def _faults() -> Scenario:
    """Each fault beside a healthy run of the same contender at the same rate."""
    cases: list[Case] = []
    goals: list[Goal] = []
    for name in ("nginx+mirror", "envoy+mirror", "penstock+shadow"):
        healthy = Case(name, pace=0.5)
        ours = name == "penstock+shadow"
        for health in ("slow", "hanging", "refusing", "resetting"):
            faulty = replace(healthy, candidate=health)
            cases += [healthy, faulty]
            goals.append(Goal("p99", faulty, healthy, at_most=1.1 if ours else None))
            goals.append(Goal("failures", faulty, at_most=0 if ours else None))
    return Scenario("faults", "A candidate with something wrong, at half the capacity", tuple(cases), tuple(goals))


def _comparison() -> Scenario:
    """What comparing costs, beside copies that nobody compares."""
    small, blind = Case("penstock+shadow"), Case("penstock+copies")
    # Long bodies that come one at a time cost twice as much as many at once: at a quarter of what it takes at most, a
    # worker is busy for more than half of its time.
    large, large_blind = (replace(case, body=MB, pace=0.25, at_the_pace_of=blind.contender) for case in (small, blind))
    goals = (
        Goal("rate", small, blind, at_least=0.85),
        Goal("cpu", small, blind),
        Goal("p99", large, large_blind, at_most=1.1),
    )
    return Scenario(
        "comparison", "Copies that are compared, and copies that are not", (small, blind, large, large_blind), goals
    )


def _models() -> Scenario:
    cases: list[Case] = []
    goals: list[Goal] = []
    for name in ("penstock", "penstock+shadow"):
        one = Case(name)
        for models in (100, 1000):
            many = replace(one, models=models)
            cases += [one, many]
            goals.append(Goal("rate", many, one))
            goals.append(Goal("cpu", many, one))
    return Scenario("models", "1, 100 and 1000 models behind one worker", tuple(cases), tuple(goals))


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        _small(),
        _throughput("1kb", "1 KB both ways", body=KB),
        _throughput("10kb", "10 KB both ways", body=10 * KB, envoy_mirror=1.1),
        _throughput("100kb", "100 KB both ways", body=100 * KB, envoy_mirror=0.9),
        _throughput("1mb", "1 MB both ways", body=MB),
        _throughput("1-connection", "Small bodies, 1 connection", connections=1),
        _throughput("256-connections", "Small bodies, 256 connections", connections=256),
        _faults(),
        _comparison(),
        _models(),
    )
}
