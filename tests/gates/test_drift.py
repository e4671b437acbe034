from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gates.drift import DRIFTED, FEWEST, MOST_BARS, MOVED, drift, drifts, psi
from proxy.histogram import merge_counts
from proxy.outputs import Outputs, OutputTally, add_outputs, bucket_of_number, merge_outputs, outputs_of
from proxy.snapshot import AgreementSpec

AUTO, NUMERIC = AgreementSpec(), AgreementSpec(kind="numeric")


def numbers(drawn: list[float]) -> OutputTally:
    parts = (outputs_of(drawn[at : at + 50], NUMERIC)[""] for at in range(0, len(drawn), 50))
    return reduce(OutputTally.merged, parts)


def normal(mean: float, seed: int, n: int = 4000) -> list[float]:
    drawn = random.Random(seed)
    return [drawn.gauss(mean, 1.0) for _ in range(n)]


def test_of_labels_it_is_the_sum_by_hand() -> None:
    ours, theirs = OutputTally(labels={"a": 80, "b": 20}), OutputTally(labels={"a": 60, "b": 40})
    p, q = (80.5 / 101, 20.5 / 101), (60.5 / 101, 40.5 / 101)
    by_hand = sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))
    assert psi(ours, theirs) == pytest.approx(by_hand)


def test_of_numbers_it_is_what_their_deciles_give() -> None:
    ours, theirs = normal(0, 1), normal(0.5, 2)
    edges = np.quantile(ours, np.linspace(0, 1, 11))
    edges[0], edges[-1] = -np.inf, np.inf
    p, q = (np.histogram(drawn, edges)[0] / len(drawn) for drawn in (ours, theirs))
    expected = float(((q - p) * np.log(q / p)).sum())
    assert psi(numbers(ours), numbers(theirs)) == pytest.approx(expected, rel=0.1)


def test_the_same_model_has_none_and_another_has_some() -> None:
    assert psi(numbers(normal(0, 1)), numbers(normal(0, 2))) < 0.02
    assert psi(numbers(normal(0, 1)), numbers(normal(1, 2))) > 0.25


def _at(*values: tuple[float, int]) -> OutputTally:
    return OutputTally(numbers={bucket_of_number(value): count for value, count in values})


CONSTANT = _at((1.0, 1000))
CERTAIN = _at((1.0, 950), (0.2, 10), (0.4, 10), (0.6, 10), (0.8, 20))
UNIFORM = numbers([0.3 + 0.0004 * n for n in range(1000)])


@pytest.mark.parametrize(
    ("champion", "candidate"),
    [
        (CONSTANT, _at((0.1, 1000))),
        (CONSTANT, _at((-7.0, 1000))),
        (CERTAIN, _at((0.9, 1000))),
        (_at((0.9, 1000)), CERTAIN),
        (CERTAIN, _at((0.2, 250), (0.4, 250), (0.6, 250), (0.8, 250))),
        (_at((0.0, 300), (1.0, 700)), _at((0.0, 300), (2.0, 700))),
        (_at((0.0, 300), (1.0, 700)), _at((-1.0, 300), (1.0, 700))),
    ],
    ids=["elsewhere", "below 0", "never certain", "certain", "spread", "above the last", "below the first"],
)
def test_what_leaves_a_value_that_the_champion_often_gives_has_drifted(
    champion: OutputTally, candidate: OutputTally
) -> None:
    """A decile that begins within a value's own bucket has no edge: what is beside that value needs bins of its own."""
    assert psi(champion, candidate) > DRIFTED


@pytest.mark.parametrize("ours", [CONSTANT, CERTAIN])
def test_a_hair_beside_a_frequent_value_is_no_drift(ours: OutputTally) -> None:
    """0.99999 is in the bucket below the one that 1.0 begins."""
    beside = dict(ours.numbers)
    beside[bucket_of_number(0.99999)] = beside.pop(bucket_of_number(1.0))
    assert psi(ours, OutputTally(numbers=beside)) < 0.01


@pytest.mark.parametrize("value", [0.1, 1.0])
def test_what_lies_beyond_all_that_the_champion_gave_has_a_bin_of_its_own(value: float) -> None:
    beyond = OutputTally(numbers=merge_counts(UNIFORM.numbers, _at((value, 60)).numbers))
    assert psi(UNIFORM, beyond) > MOVED


def test_of_few_values_none_is_told() -> None:
    few, many = OutputTally(labels={"a": FEWEST - 1}), OutputTally(labels={"a": FEWEST})
    assert drift("", few, many).psi is None
    assert drift("", many, many).psi == 0


Draw = Callable[[int, np.random.Generator], OutputTally]
SHARES: dict[str, Callable[[int], NDArray[np.float64]]] = {
    "alike": np.ones,
    "long tail": lambda count: 1 / np.arange(1, count + 1),
    "one in most": lambda count: np.array([49.0 * (count - 1), *np.ones(count - 1)]),
}


def labelled(count: int, shape: str) -> Draw:
    shares = SHARES[shape](count)

    def draw(n: int, drawn: np.random.Generator) -> OutputTally:
        counts = drawn.multinomial(n, shares / shares.sum()).tolist()
        return OutputTally(labels={str(label): many for label, many in enumerate(counts) if many})

    return draw


def measured(values: Callable[[int, np.random.Generator], NDArray[np.float64]]) -> Draw:
    def draw(n: int, drawn: np.random.Generator) -> OutputTally:
        return OutputTally(numbers=Counter(map(bucket_of_number, values(n, drawn).tolist())))

    return draw


DRAWS: dict[str, Draw] = {
    **{f"{count} {shape}": labelled(count, shape) for count in (2, 3, 10, 30, 64, 200) for shape in SHARES},
    "normal": measured(lambda n, drawn: drawn.normal(size=n)),
    "narrow": measured(lambda n, drawn: drawn.uniform(100, 110, n)),
    "heavy tails": measured(lambda n, drawn: drawn.standard_cauchy(n)),
    "five values": measured(lambda n, drawn: drawn.choice([0, 0.1, 0.5, 1.0, 3.0], n)),
    "often certain": measured(lambda n, drawn: np.minimum(drawn.uniform(0, 1.5, n), 1.0)),
}


@pytest.mark.parametrize("sizes", [(50, 50), (50, 2000), (80, 80), (300, 300), (3000, 3000)])
@pytest.mark.parametrize("name", DRAWS)
def test_one_distribution_in_both_arms_has_not_drifted(name: str, sizes: tuple[int, int]) -> None:
    """With thirty labels and sixty answers each the index is 0.3 to 0.6 by chance alone."""
    drawn = np.random.default_rng(7)
    found = [drift("", *(DRAWS[name](n, drawn) for n in sizes)).psi for _ in range(100)]
    assert sum(psi is not None and psi > DRIFTED for psi in found) <= 1


@pytest.mark.parametrize(("count", "n"), [(2, 60), (10, 150), (30, 400), (200, 2000)])
def test_another_distribution_is_found_though_values_are_few(count: int, n: int) -> None:
    drawn = np.random.default_rng(7)
    ours, theirs = labelled(count, "alike")(n, drawn), labelled(count, "one in most")(n, drawn)
    told = drift("", ours, theirs).psi
    assert told is not None
    assert told > DRIFTED


@pytest.mark.parametrize("labels", [100, 200])
def test_more_labels_than_are_named_are_no_drift(labels: int) -> None:
    """Each arm meets others first; two workers, of which one has far more to do."""
    drawn = random.Random(3)
    arms: tuple[Outputs, Outputs] = ({}, {})
    for pairs in (500, 4500):
        ours: Outputs = {}
        theirs: Outputs = {}
        for _ in range(pairs):
            label = f"label {drawn.randrange(labels)}"
            other = label if drawn.random() < 0.8 else f"label {drawn.randrange(labels)}"
            add_outputs(ours, theirs, (outputs_of([label], AUTO), outputs_of([other], AUTO)))
        arms = merge_outputs(arms[0], ours), merge_outputs(arms[1], theirs)
    told = drift("", arms[0][""], arms[1][""])
    assert told.psi is not None
    assert told.psi < MOVED


def test_one_answer_to_everything_is_told() -> None:
    varied = OutputTally(numbers=dict.fromkeys(range(10), 30))
    assert drift("", varied, OutputTally(numbers={5: 300})).constant
    assert not drift("", varied, varied).constant
    assert not drift("", OutputTally(labels={"a": 290, "b": 10}), OutputTally(labels={"a": 300})).constant


def test_answers_that_are_close_together_are_not_one_answer() -> None:
    """100 to 103.9 is one bucket."""
    drawn = np.random.default_rng(7)
    champion, close = numbers(drawn.uniform(50, 200, 500).tolist()), numbers(drawn.uniform(100, 103.9, 500).tolist())
    assert len(close.numbers) == 1
    assert not drift("", champion, close).constant
    assert drift("", champion, numbers([101.5] * 500)).constant


@given(
    st.dictionaries(st.integers(-900, 900), st.integers(1, 50), max_size=40),
    st.dictionaries(st.integers(-900, 900), st.integers(1, 50), max_size=40),
    st.dictionaries(st.text(max_size=3), st.integers(1, 9), max_size=40),
)
def test_bars_hold_all_that_was_counted_and_the_index_is_finite(
    ours: dict[int, int], theirs: dict[int, int], labels: dict[str, int]
) -> None:
    champion, candidate = OutputTally(0, ours, labels), OutputTally(2, theirs, {})
    (told,) = drifts({"y": champion}, {"y": candidate})
    for arm, total in (("champion", champion.counted), ("candidate", candidate.counted)):
        assert sum(getattr(bar, arm) for bar in told.bars) == pytest.approx(1.0 if total else 0.0)
    assert len(told.bars) <= 2 * MOST_BARS + 1
    assert told.psi is None or 0 <= told.psi < math.inf


def test_one_outlier_does_not_squeeze_the_rest_into_one_bar() -> None:
    tally = numbers([*normal(0, 1), 1e18])
    shares = [bar.champion for bar in drift("", tally, tally).bars]
    assert max(shares) < 0.3
