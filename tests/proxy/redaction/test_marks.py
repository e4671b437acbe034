from __future__ import annotations

import pytest

from proxy.redaction import REDACTED
from proxy.redaction.marks import Marks


@pytest.mark.parametrize(
    ("field", "document", "expected"),
    [
        ("ssn", {"ssn": "078-05-1120", "age": 3}, {"ssn": REDACTED, "age": 3}),
        ("user.name", {"user": {"name": "Jane", "id": 4}}, {"user": {"name": REDACTED, "id": 4}}),
        ("user", {"user": {"name": "Jane"}}, {"user": REDACTED}),
        ("rows.name", {"rows": [{"name": "Jane"}, {"name": "John"}]}, {"rows": [{"name": REDACTED}] * 2}),
        ("rows.1", {"rows": [1, 2, 3]}, {"rows": [1, REDACTED, 3]}),
        ("rows.1", {"rows": [[1, 2], [3, 4]]}, {"rows": [[1, 2], REDACTED]}),
        ("rows.0", {"rows": [{"0": "Jane"}, {"0": "John", "1": 2}]}, {"rows": [REDACTED, {"0": REDACTED, "1": 2}]}),
        ("rows.²", {"rows": [1, 2, 3]}, {"rows": [1, 2, 3]}),
        ("rows.*.1", {"rows": [[1, 2], [3, 4]]}, {"rows": [[1, REDACTED], [3, REDACTED]]}),
        ("*.name", {"a": {"name": 1}, "b": {"name": 2}}, {"a": {"name": REDACTED}, "b": {"name": REDACTED}}),
        ("**.name", {"a": [{"b": {"name": 1}}], "name": 2}, {"a": [{"b": {"name": REDACTED}}], "name": REDACTED}),
        (
            "dataframe_split.ssn",
            {"dataframe_split": {"columns": ["age", "ssn"], "data": [[41, "078-05-1120"], [52, "219-09-9999"]]}},
            {"dataframe_split": {"columns": ["age", "ssn"], "data": [[41, REDACTED], [52, REDACTED]]}},
        ),
        (
            "dataframe_split.ssn",
            {"dataframe_split": {"columns": ["ssn", "age", "ssn"], "data": [["078-05-1120", 41, "219-09-9999"]]}},
            {"dataframe_split": {"columns": ["ssn", "age", "ssn"], "data": [[REDACTED, 41, REDACTED]]}},
        ),
        (
            "dataframe_split.1",
            {"dataframe_split": {"columns": [0, 1], "data": [[41, "078-05-1120"]]}},
            {"dataframe_split": {"columns": [0, 1], "data": [[41, REDACTED]]}},
        ),
        (
            "**.ssn",
            {"dataframe_split": {"columns": ["age", "ssn"], "data": [[41, "078-05-1120"]]}},
            {"dataframe_split": {"columns": ["age", "ssn"], "data": [[41, REDACTED]]}},
        ),
        (
            "inputs.ssn.data",
            {"inputs": [{"name": "ssn", "data": ["078-05-1120"]}, {"name": "age", "data": [41]}]},
            {"inputs": [{"name": "ssn", "data": REDACTED}, {"name": "age", "data": [41]}]},
        ),
        (
            "users.email.address",
            {"users": [{"name": "email", "email": {"address": "a@x.org"}, "address": "b@x.org"}]},
            {"users": [{"name": "email", "email": {"address": REDACTED}, "address": REDACTED}]},
        ),
        ("ssn", {"age": 3}, {"age": 3}),
        ("a.b.c", {"a": {"b": 5}}, {"a": {"b": 5}}),
    ],
)
def test_a_marked_field_is_taken_out_wherever_its_path_leads(field: str, document: object, expected: object) -> None:
    assert Marks([field]).taken_out(document) == expected


@pytest.mark.parametrize(
    ("marked", "values"),
    [
        ("Jane", {"Jane"}),
        (123456789, {"123456789"}),
        (123456789.0, {"123456789.0", "123456789"}),
        (0.5, {"0.5"}),
        ([True, None, float("nan"), float("inf")], set()),
        ({"jane@x.org": 1}, {"jane@x.org", "1"}),
        ({"first_name": "Jane", "role": ["user"]}, {"Jane", "user"}),
    ],
)
def test_of_what_is_taken_out_the_values_are_known(marked: object, values: set[str]) -> None:
    marks = Marks(["user"])
    marks.taken_out({"user": marked})
    assert marks.values == values
