"""What a registered model may be called."""

from __future__ import annotations

import pytest

from gates.promotion.names import wrong_with


@pytest.mark.parametrize(
    "name",
    ["fraud_detector", "churn-predictor", "recommendation_engine", "newsletter_ranker", "marketing_model", "bert2"],
)
def test_a_products_name_is_good(name: str) -> None:
    assert wrong_with(name) == []


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("fraud_detector_v2", "v2"),
        ("fraud_detector_v1.3", "v1"),
        ("fraud_detector_version2", "version2"),
        ("fraud_detector_2", "2"),
        ("fraud_detector_2024", "2024"),
        ("fraud_detector_20241008", "20241008"),
        ("fraud_detector_oct", "oct"),
        ("fraud_detector_q3", "q3"),
        ("fraud_detector_final", "final"),
        ("FraudDetector", "'FraudDetector'"),
    ],
)
def test_a_version_a_date_or_a_state_is_named(name: str, word: str) -> None:
    assert any(problem.split(" ")[0] == word for problem in wrong_with(name))


def test_each_word_is_told_once() -> None:
    assert len(wrong_with("fraud_detector_really_final")) == 2
