"""Prometheus as the source of time series, over its HTTP API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2

from gates.ports import MetricsError
from gates.promotion.series import Series

TIMEOUT_SECONDS = 5.0
MOST_POINTS = 240
"""Of a range: enough to see a run of breaches or a trend by, and little to send."""
FINEST_STEP = 1.0


class Prometheus:
    """`gates.ports.MetricSource` over one server, asked directly: no proxy of the environment is on the way.

    Source: prometheus.io/docs/prometheus/latest/querying/api."""

    def __init__(self, url: str, timeout: float = TIMEOUT_SECONDS) -> None:
        self._url = url.rstrip("/")
        self._http = httpx2.Client(timeout=timeout, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    @property
    def name(self) -> str:
        parts = urlsplit(self._url)
        return f"Prometheus at {parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")

    def series(self, query: str, seconds: float, at: float) -> Sequence[Series]:
        """A series that has ended before `at` is no answer to a question about now, and is left out."""
        if not seconds:
            found = self._ask("query", {"query": query, "time": f"{at:.3f}"})
        else:
            step = max(seconds / MOST_POINTS, FINEST_STEP)
            window = {"start": f"{at - seconds:.3f}", "end": f"{at:.3f}", "step": f"{step:.3f}"}
            found = self._ask("query_range", {"query": query, **window})
            return [one for one in _series(found, self.name, query) if one.points and one.points[-1].at > at - 2 * step]
        return _series(found, self.name, query)

    def _ask(self, endpoint: str, form: Mapping[str, str]) -> Mapping[str, Any]:
        """By POST, as queries may be longer than a URL."""
        try:
            response = self._http.post(f"{self._url}/api/v1/{endpoint}", data=dict(form))
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol):
            raise MetricsError(f"{self.name} is no address: expected http://host:port") from None
        except httpx2.HTTPError as error:
            raise MetricsError(f"{self.name} does not answer: {str(error) or type(error).__name__}") from None
        try:
            answer: Mapping[str, Any] = response.json()
            status = answer["status"]
        except (ValueError, KeyError, TypeError):
            raise MetricsError(f"{self.name} does not answer as a Prometheus (status {response.status_code})") from None
        if status != "success":
            raise MetricsError(f"{self.name} refuses {form['query']!r}: {answer.get('error', 'no reason given')}")
        data: Mapping[str, Any] = answer.get("data", {})
        return data


def _series(data: Mapping[str, Any], name: str, query: str) -> list[Series]:
    try:
        kind, result = data["resultType"], data["result"]
        match kind:
            case "matrix":
                return [Series.of(one["metric"], _points(one["values"])) for one in result]
            case "vector":
                return [Series.of(one["metric"], _points([one["value"]])) for one in result]
            case "scalar":
                return [Series.of({}, _points([result]))]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        raise MetricsError(f"{name} does not answer {query!r} as a Prometheus does") from None
    raise MetricsError(f"{name}: {query!r} gives a {kind}, and no numbers")


def _points(pairs: Sequence[Sequence[Any]]) -> list[tuple[float, float]]:
    return [(float(at), float(value)) for at, value in pairs]
