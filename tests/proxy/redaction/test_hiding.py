from __future__ import annotations

import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.redaction import REDACTED
from proxy.redaction.hiding import SHORTEST, Draft, Hiding

MOST = 1 << 20
letters = st.text("ab%\\u0041é", min_size=SHORTEST, max_size=7)


def hidden(text: str, *values: str) -> str:
    return Hiding(values).text(text)


def hidden_in_json(document: object, *values: str) -> object:
    text = json.dumps(document, ensure_ascii=False)
    return json.loads(Hiding(values).written(Draft(text, "json"), MOST))


@given(st.lists(letters, min_size=1, max_size=6), st.text("ab%\\u0041é", max_size=40))
def test_no_value_is_left_in_a_text(values: list[str], text: str) -> None:
    for told in (text, text.join(values), values[0] + text):
        assert [value for value in values if value in hidden(told, *values)] == []


def test_many_values_are_found_as_few_are() -> None:
    values = [f"{number}-{number}" for number in range(1000, 3000)]
    assert hidden(f"x{values[0]}1 and {values[-1]}", *values) == f"x{REDACTED}1 and {REDACTED}"
    assert hidden_in_json(["kept", values[7], f"\n{values[9]}"], *values) == ["kept", REDACTED, f"\n{REDACTED}"]


def test_the_longest_of_the_values_that_stand_at_a_place_is_hidden() -> None:
    assert hidden("call jane.doe or jane", "jane", "jane.doe") == f"call {REDACTED} or {REDACTED}"


def test_what_is_shorter_than_four_characters_stands_everywhere_by_chance() -> None:
    assert hidden("41 years", "41", "year") == f"41 {REDACTED}s"


@pytest.mark.parametrize(
    "spelled",
    [
        quote("Zoë@x.org", safe=""),
        quote("Zoë@x.org", safe="@"),
        "Zo%c3%ab%40x.org",
        quote(quote("Zoë@x.org")),
        quote_plus("Zoë@x.org"),
        "Z%6Fë@x.org",
        json.dumps("Zoë@x.org")[1:-1],
        json.dumps({"body": json.dumps("Zoë@x.org")}),
    ],
)
def test_a_value_is_found_behind_escapes(spelled: str) -> None:
    assert REDACTED in hidden(f"/users/{spelled}/score", "Zoë@x.org")
    assert hidden(f"/users/{spelled}/score", "jane@x.org") == f"/users/{spelled}/score"


def test_json_stays_json() -> None:
    document = {"jane": [1234, 0.51234, "no\njane", "n\\u006f", None, True], "age": 41}
    assert hidden_in_json(document, "jane", "1234", "true") == {
        REDACTED: [REDACTED, REDACTED, f"no\n{REDACTED}", "n\\u006f", None, REDACTED],
        "age": 41,
    }


def test_no_part_of_a_value_is_left_where_a_text_is_cut() -> None:
    assert Hiding(["jane@x.org"]).written(Draft("to jane@x.org"), 5) == "to [r [cut: 16 bytes more]"
    assert Hiding(["jane@x.org"]).written(Draft('["a","jane@x.org"]', "json"), 7).startswith('["a","[ [cut: ')


def test_values_made_to_be_told_apart_slowly_do_not_hold_the_worker_up() -> None:
    hiding = Hiding("a" * length + "b" for length in range(SHORTEST, 360))
    assert hiding.text("a" * 60_000).endswith(REDACTED)
    assert hiding.text("a" * 60_000 + "c") == REDACTED
    assert hiding.text("kept") == "kept"
