"""What a registered model may be called: a product's name that outlives its versions."""

from __future__ import annotations

import re

_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec|january|february|march|april|june|july|august|september"
_MONTHS += "|october|november|december"
_STATES = "final|new|old|latest|best|really|tmp|temp|test|testing|draft|copy|backup|prod|production|staging|dev"
_WRONG = (
    (re.compile(r"v\d+(\.\d+)*|version\d*|ver\d+|\d{1,3}"), "a version: the registry counts those"),
    (re.compile(r"(19|20)\d{2}([01]\d([0-3]\d)?)?|q[1-4]"), "a date: the registry keeps when a version was made"),
    (re.compile(_MONTHS), "a month: the registry keeps when a version was made"),
    (re.compile(_STATES), "a state: aliases and stages tell that"),
)


def wrong_with(name: str) -> list[str]:
    """What in `name` is not the product's: `v2 is a version: ...`; empty for a good name.

    A word counts whole, so that `newsletter_ranker` and `marketing_model` are names like any other."""
    problems = []
    if not re.fullmatch(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*", name):
        problems.append(f"{name!r} is not written as words in lower case with _ or - between")
    words = [word for word in re.split(r"[^A-Za-z0-9]+", name.lower()) if word]
    for word in words:
        problems += [f"{word} is {what}" for pattern, what in _WRONG if pattern.fullmatch(word)][:1]
    return problems
