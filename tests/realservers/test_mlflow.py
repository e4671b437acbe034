"""`mlflow models serve`: what its answers hold, in every shape that a Python model may answer in, and each fault of a
model by its name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression, LogisticRegression

from proxy.comparison import Answer, Comparison, compare
from proxy.formats import predictions
from proxy.snapshot import AgreementSpec
from tests.realservers.asking import DIABETES, IRIS, ROWS, answer, split

pytestmark = pytest.mark.timeout(600)  # of which the servers' start takes most, on a busy machine

PATH = b"/invocations"
EXACT = AgreementSpec(relative=0, absolute=0)
SINGLE = AgreementSpec(relative=0, absolute=0, precision="float32")
PROBABILITY = AgreementSpec(kind="probability", relative=0.01, absolute=0.001)


@dataclass(frozen=True)
class Truth:
    """The same models, fitted here."""

    model: LogisticRegression

    @property
    def labels(self) -> NDArray[np.int64]:
        return np.asarray(self.model.predict(ROWS), np.int64)

    @property
    def scores(self) -> NDArray[np.float64]:
        return np.asarray(self.model.predict_proba(ROWS)[:, 2], np.float64)


@pytest.fixture(scope="module")
def truth() -> Truth:
    return Truth(LogisticRegression(max_iter=1000).fit(IRIS.data, IRIS.target))


def asked(servers: dict[str, str], champion: str, candidate: str) -> tuple[Answer, Answer]:
    """What the two roles answer to the one request that tells each how."""
    body = split(champion=champion, candidate=candidate)
    first, second = (answer(f"{servers[role]}/invocations", body) for role in ("champion", "candidate"))
    return first, second


def compared(
    servers: dict[str, str],
    champion: str,
    candidate: str,
    spec: AgreementSpec = AgreementSpec(),  # noqa: B008
) -> Comparison:
    return compare(*asked(servers, champion, candidate), spec, PATH)


def test_a_classifiers_labels(mlflow_servers: dict[str, str], truth: Truth) -> None:
    found = predictions(asked(mlflow_servers, "labels", "labels")[0], EXACT, PATH)
    assert list(found.rows) == truth.labels.tolist()
    assert found.batch


def test_a_regressors_numbers(mlflow_servers: dict[str, str]) -> None:
    expected = LinearRegression().fit(DIABETES.data, DIABETES.target).predict(DIABETES.data)
    body = split(DIABETES.data, champion="progress", candidate="progress")
    found = predictions(answer(f"{mlflow_servers['champion']}/invocations", body), EXACT, PATH)
    assert found.rows == pytest.approx(expected.tolist())


def test_two_regressors_differ_where_their_numbers_do_by_hand(mlflow_servers: dict[str, str]) -> None:
    data, target = DIABETES.data, DIABETES.target
    ours = LinearRegression().fit(data, target).predict(data)
    theirs = LinearRegression().fit(data[::2], target[::2]).predict(data)
    gaps = np.abs(ours - theirs)
    beyond = np.flatnonzero(gaps > 1 + 0.05 * np.abs(ours))
    body = split(data, champion="progress", candidate="progress_of_half")
    answers = [answer(f"{mlflow_servers[role]}/invocations", body) for role in ("champion", "candidate")]
    found = compare(answers[0], answers[1], AgreementSpec(kind="numeric", relative=0.05, absolute=1), PATH)
    assert 20 < len(beyond) < len(data) - 20
    assert (found.finding, found.rows, found.rows_disagreed) == ("number", len(data), len(beyond))
    assert found.row == beyond[0]
    assert found.largest_gap == pytest.approx(gaps.max())


def test_a_data_frames_records(mlflow_servers: dict[str, str], truth: Truth) -> None:
    champion, _ = asked(mlflow_servers, "scored", "labels")
    rows = predictions(champion, EXACT, PATH).rows
    assert [row["species"] for row in rows] == truth.labels.tolist()  # type: ignore[index]
    assert [row["score"] for row in rows] == pytest.approx(truth.scores.tolist())  # type: ignore[index]


@pytest.mark.parametrize("champion", ["labels", "series", "frame"])
@pytest.mark.parametrize("candidate", ["labels", "series", "frame"])
def test_one_model_agrees_with_itself_in_every_shape(
    mlflow_servers: dict[str, str], champion: str, candidate: str
) -> None:
    found = compared(mlflow_servers, champion, candidate, EXACT)
    assert (found.finding, found.skipped, found.rows_disagreed) == ("", "", 0)


def test_labels_as_texts_are_the_same_labels(mlflow_servers: dict[str, str]) -> None:
    assert compared(mlflow_servers, "labels", "texts", AgreementSpec(kind="label")).finding == ""


def test_two_precisions_agree_within_what_the_coarser_can_tell(mlflow_servers: dict[str, str]) -> None:
    assert compared(mlflow_servers, "double", "single", SINGLE).finding == ""
    assert compared(mlflow_servers, "double", "single", EXACT).finding == "number"


def test_swapped_columns_are_found_in_each_row_that_they_change(mlflow_servers: dict[str, str], truth: Truth) -> None:
    wrong = ROWS[[ROWS.columns[2], ROWS.columns[1], ROWS.columns[0], ROWS.columns[3]]].set_axis(ROWS.columns, axis=1)
    by_hand = np.flatnonzero(truth.model.predict(wrong) != truth.labels)
    found = compared(mlflow_servers, "labels", "swapped")
    assert (found.finding, found.rows, found.rows_disagreed) == ("label", 200, len(by_hand))
    assert found.row == by_hand[0]
    assert len(by_hand) > 50


def test_one_label_of_a_hundred_is_two_rows_of_two_hundred(mlflow_servers: dict[str, str]) -> None:
    found = compared(mlflow_servers, "labels", "changed")
    assert (found.finding, found.rows, found.rows_disagreed, found.row) == ("label", 200, 2, 7)


def test_a_shift_of_two_hundredths_is_measured(mlflow_servers: dict[str, str], truth: Truth) -> None:
    found = compared(mlflow_servers, "double", "shifted", PROBABILITY)
    crossing = (truth.scores < 0.5) & (truth.scores + 0.02 >= 0.5)
    assert found.finding == ("flip" if crossing[0] else "number")
    assert found.rows_disagreed == np.count_nonzero(crossing | (0.001 + 0.01 * truth.scores < 0.02))
    assert found.largest_gap == pytest.approx(0.02)


def test_no_number_for_one_category_is_a_failure(mlflow_servers: dict[str, str], truth: Truth) -> None:
    found = compared(mlflow_servers, "double", "gaps")
    assert (found.finding, found.candidate_failure) == ("new_nan", "new_nan")
    assert found.rows_disagreed == np.count_nonzero(truth.labels == 1)
    assert found.row == np.flatnonzero(truth.labels == 1)[0]


def test_one_answer_to_everything_is_a_failure(mlflow_servers: dict[str, str]) -> None:
    assert compared(mlflow_servers, "double", "constant").candidate_failure == "constant_output"


def test_a_model_that_crashes_answers_400_and_has_failed(mlflow_servers: dict[str, str]) -> None:
    champion, candidate = asked(mlflow_servers, "labels", "crash")
    assert (champion.status, candidate.status) == (200, 400)
    assert compare(champion, candidate, EXACT, PATH).candidate_failure == "status_4xx"
