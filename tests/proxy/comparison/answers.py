"""Answers to compare, as MLflow and others write them."""

from __future__ import annotations

import json

from proxy.comparison import Answer

JSON = (b"content-type", b"application/json")


def json_answer(document: object, status: int = 200) -> Answer:
    return Answer(status, [JSON], json.dumps(document).encode())


def rows_answer(*rows: object) -> Answer:
    return json_answer({"predictions": rows})
