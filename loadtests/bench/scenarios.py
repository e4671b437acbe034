"""What is measured: the scenarios, each a list of neighbouring cases, and what they are meant to show."""

from __future__ import annotations

from dataclasses import dataclass, replace

from loadtests.bench.bodies import SMALL, Answers
from loadtests.bench.upstreams import Health

KB = 1000
MB = 1000 * KB


@dataclass(frozen=True, slots=True)
class Case:
    """One contender under one load. `body` is in bytes, both ways; a `paced` load is half of what the contender takes
    with a healthy candidate. `answers`: is the candidate's the champion's own, or another within tolerance."""

    contender: str
    body: int = SMALL
    connections: int = 32
    models: int = 1
    answers: Answers = "close"
    candidate: Health = "healthy"
    paced: bool = False

    @property
    def label(self) -> str:
        parts = [
            self.contender,
            "equal answers" if self.answers == "equal" else "",
            f"{self.models} models" if self.models > 1 else "",
            f"candidate {self.candidate}" if self.paced else "",
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


def _line_up(case: Case) -> tuple[Case, ...]:
    """Every contender, so that each of ours runs beside the one that it is measured against."""
    names = ("direct", "nginx", "envoy", "penstock", "nginx+mirror", "penstock+shadow", "envoy+mirror")
    cases = tuple(replace(case, contender=name) for name in names)
    return (*cases, replace(case, contender="penstock+shadow", answers="equal"))


def _ratio(
    measure: str, case: Case, of: str, against: str, at_least: float | None = None, at_most: float | None = None
) -> Goal:
    return Goal(measure, replace(case, contender=of), replace(case, contender=against), at_least, at_most)


def _throughput(name: str, title: str, case: Case, envoy_mirror: float | None = None) -> Scenario:
    """All contenders under one load, with the ratios that matter; `envoy_mirror` is the one that is bounded."""
    rate = "requests_per_second"
    goals = (
        _ratio(rate, case, "penstock+shadow", "envoy+mirror", at_least=envoy_mirror),
        _ratio(rate, case, "penstock+shadow", "nginx+mirror"),
        _ratio(rate, case, "penstock", "envoy"),
        _ratio("cpu_micros", case, "penstock+shadow", "envoy+mirror"),
    )
    return Scenario(name, title, _line_up(case), goals)


def _small() -> Scenario:
    case = Case("")
    shadow, plain = replace(case, contender="penstock+shadow"), replace(case, contender="penstock")
    rate = "requests_per_second"
    goals = (
        _ratio(rate, case, "penstock+shadow", "envoy+mirror", at_least=1.25),
        _ratio(rate, case, "penstock+shadow", "nginx+mirror", at_least=1.1),
        _ratio("p99", case, "penstock+shadow", "envoy+mirror", at_most=1.0),
        _ratio("p99", case, "penstock+shadow", "nginx+mirror", at_most=1.0),
        _ratio(rate, case, "penstock", "envoy", at_least=1.0),
        Goal("rss_mib", shadow, at_most=64.0),
        Goal("rss_mib", plain, at_most=64.0),
        Goal("ready_seconds", shadow, at_most=1.0),
        Goal("ready_seconds", plain, at_most=1.0),
    )
    return Scenario("small", "Small bodies, 32 connections", _line_up(case), goals)


def _faults() -> Scenario:
    """Each fault beside a healthy run of the same contender at the same rate."""
    cases: list[Case] = []
    goals: list[Goal] = []
    for name in ("nginx+mirror", "envoy+mirror", "penstock+shadow"):
        healthy = Case(name, paced=True)
        ours = name == "penstock+shadow"
        for health in ("slow", "hanging", "refusing", "resetting"):
            faulty = replace(healthy, candidate=health)
            cases += [healthy, faulty]
            goals.append(Goal("p99", faulty, healthy, at_most=1.1 if ours else None))
            goals.append(Goal("failures", faulty, at_most=0 if ours else None))
    return Scenario("faults", "A candidate with something wrong, at half the capacity", tuple(cases), tuple(goals))


def _models() -> Scenario:
    cases: list[Case] = []
    goals: list[Goal] = []
    for name in ("penstock", "penstock+shadow"):
        one = Case(name)
        for models in (100, 1000):
            many = replace(one, models=models)
            cases += [one, many]
            goals.append(Goal("requests_per_second", many, one))
            goals.append(Goal("cpu_micros", many, one))
    return Scenario("models", "1, 100 and 1000 models behind one worker", tuple(cases), tuple(goals))


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        _small(),
        _throughput("1kb", "1 KB both ways", Case("", body=KB)),
        _throughput("10kb", "10 KB both ways", Case("", body=10 * KB), envoy_mirror=1.1),
        _throughput("100kb", "100 KB both ways", Case("", body=100 * KB), envoy_mirror=0.9),
        _throughput("1mb", "1 MB both ways", Case("", body=MB)),
        _throughput("1-connection", "Small bodies, 1 connection", Case("", connections=1)),
        _throughput("256-connections", "Small bodies, 256 connections", Case("", connections=256)),
        _faults(),
        _models(),
    )
}
