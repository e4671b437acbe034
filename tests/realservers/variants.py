"""A model for `mlflow models serve` that answers as its role is asked to by the request: one iris classifier in the
shapes that Python models answer in, and with the faults that models have.

MLflow runs this file by itself (models from code), in the server's process."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression


class Variants(PythonModel):  # type: ignore[misc]
    """`params` has, for each role, how it is to answer."""

    def load_context(self, context: Any) -> None:
        data = load_iris(as_frame=True)
        self.role = context.model_config["role"]
        self.model = LogisticRegression(max_iter=1000).fit(data.data, data.target)
        progress = load_diabetes(as_frame=True)
        self.regressor = LinearRegression().fit(progress.data, progress.target)
        self.of_half = LinearRegression().fit(progress.data[::2], progress.target[::2])

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:
        return getattr(self, (params or {})[self.role])(model_input)

    def labels(self, rows: pd.DataFrame) -> Any:
        return self.model.predict(rows)

    def series(self, rows: pd.DataFrame) -> Any:
        return pd.Series(self.labels(rows), name="species")

    def frame(self, rows: pd.DataFrame) -> Any:
        return pd.DataFrame({"species": self.labels(rows)})

    def texts(self, rows: pd.DataFrame) -> Any:
        return [str(label) for label in self.labels(rows)]

    def scored(self, rows: pd.DataFrame) -> Any:
        return pd.DataFrame({"species": self.labels(rows), "score": self.double(rows)})

    def progress(self, rows: pd.DataFrame) -> Any:
        """The regressor's, of diabetes."""
        return self.regressor.predict(rows)

    def progress_of_half(self, rows: pd.DataFrame) -> Any:
        """That of a regressor which has seen every second patient."""
        return self.of_half.predict(rows)

    def double(self, rows: pd.DataFrame) -> Any:
        return self.model.predict_proba(rows)[:, 2].astype(np.float64)

    def single(self, rows: pd.DataFrame) -> Any:
        return self.double(rows).astype(np.float32)

    # and the faults

    def swapped(self, rows: pd.DataFrame) -> Any:
        """Two columns under each other's names."""
        names = list(rows.columns)
        names[0], names[2] = names[2], names[0]
        return self.model.predict(rows.set_axis(names, axis=1)[list(rows.columns)])

    def changed(self, rows: pd.DataFrame) -> Any:
        """Another label for one row of each hundred."""
        labels = self.labels(rows)
        labels[7::100] = (labels[7::100] + 1) % 3
        return labels

    def shifted(self, rows: pd.DataFrame) -> Any:
        return self.double(rows) + 0.02

    def gaps(self, rows: pd.DataFrame) -> Any:
        """No number for one category."""
        return np.where(self.labels(rows) == 1, np.nan, self.double(rows))

    def constant(self, rows: pd.DataFrame) -> Any:
        return np.full(len(rows), 0.5)

    def crash(self, rows: pd.DataFrame) -> Any:
        raise KeyError("a feature that is not there")


set_model(Variants())
