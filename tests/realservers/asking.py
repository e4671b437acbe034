"""Real servers asked directly: their answers as the data plane has them."""

from __future__ import annotations

import httpx2
import pandas as pd
from sklearn.datasets import load_diabetes, load_iris

from proxy.comparison import Answer

IRIS, DIABETES = load_iris(as_frame=True), load_diabetes(as_frame=True)
ROWS = IRIS.data.iloc[[*range(150), *range(50)]].reset_index(drop=True)
"""Two hundred rows, of which the last fifty come a second time."""


def answer(url: str, body: dict[str, object]) -> Answer:
    """Its bytes as they came, which MLServer compresses."""
    with httpx2.stream("POST", url, json=body, timeout=60, trust_env=False) as response:
        raw = b"".join(response.iter_raw())
    fields = [(name.lower(), value) for name, value in response.headers.raw]
    return Answer(response.status_code, fields, raw)


def split(rows: pd.DataFrame = ROWS, **params: str) -> dict[str, object]:
    """A request to MLflow's scoring server."""
    body = {"dataframe_split": rows.to_dict(orient="split", index=False)}
    return {**body, "params": params} if params else body
