from __future__ import annotations

import pytest

from gates.settings import Policy
from tests.gates.settings.files import MINIMAL, Load, problems_of


def test_a_policy_is_what_the_file_says(loaded: Load) -> None:
    text = MINIMAL + '    policy: {version: "7", thresholds: {block: 1, allow: -0.5}, rules: {a: x, b: [1, true]}}\n'
    assert loaded(text).models[0].policy == Policy("7", {"block": 1.0, "allow": -0.5}, {"a": "x", "b": [1, True]})
    assert loaded(MINIMAL).models[0].policy is None


def test_agreement_takes_a_number_or_a_name(loaded: Load) -> None:
    named = MINIMAL + "    policy: {version: v, thresholds: {block: 0.7}}\n    agreement: {threshold: block}\n"
    assert loaded(named).models[0].agreement.threshold == 0.7
    assert loaded(MINIMAL + "    agreement: {threshold: 0.2}\n").models[0].agreement.threshold == 0.2


@pytest.mark.parametrize(
    ("below", "key", "said"),
    [
        ("policy: {thresholds: {a: 0.5}}", "policy.version", "is missing"),
        ("policy: {version: v, thresholds: {a: high}}", "policy.thresholds.a", "valid number"),
        ("policy: {version: v, threshold: {a: 0.5}}", "policy.threshold", "did you mean thresholds?"),
        ("agreement: {threshold: block}", "agreement.threshold", "the policy has no threshold block; it has: none"),
        (
            "policy: {version: v, thresholds: {block: 3}}\n    agreement: {threshold: block}",
            "agreement.threshold",
            "block is 3, and no probability",
        ),
        ("agreement: {threshold: true}", "agreement.threshold", "the name of a policy's threshold, found true"),
    ],
)
def test_what_does_not_go_together_is_told(loaded: Load, below: str, key: str, said: str) -> None:
    (problem,) = problems_of(loaded, f"{MINIMAL}    {below}\n")
    assert problem.key == f"models.fraud.{key}"
    assert said in problem.message
