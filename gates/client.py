"""The control API as Python: what the command line and the demo ask of a running control plane."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote, urlencode

import httpx2
import msgspec

from gates.alerts import Delivery
from gates.configured import Rehearsal, Taken
from gates.exits import Exit, Failure
from gates.promotion.production import ProductionFacts
from gates.promotion.report import Report
from gates.state import AuditRow, Recorded
from gates.status import ControlStatus, ModelStatus

TIMEOUT_SECONDS = 10.0
START_SECONDS = 120.0
"""For a rollout's start: its offline gates read both models' files first."""
_STATUS = "/api/status"

T = TypeVar("T")


class ControlFailed(Failure):
    """The control plane could not be asked (Exit.UNAVAILABLE), or refused (Exit.REFUSED)."""


class ControlClient:
    """One control plane, by its base URL. Every method raises ControlFailed."""

    def __init__(self, url: str, timeout: float = TIMEOUT_SECONDS, token: str = "") -> None:
        """`token` is what the control plane is shown, if it asks for one."""
        self._url = url.rstrip("/")
        headers = {"authorization": f"Bearer {token}"} if token else {}
        # Asked directly: a proxy that the environment names for the outside world is not on the way.
        self._http = httpx2.Client(timeout=timeout, trust_env=False, headers=headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def status(self) -> ControlStatus:
        return self._get(_STATUS, ControlStatus)

    def model(self, name: str) -> ModelStatus:
        return self._get(_path(name), ModelStatus)

    def events(self, name: str | None, *, since: int = 0, limit: int = 100) -> tuple[AuditRow, ...]:
        """What happened to the model, or to all models, newest first: in a generation and in later ones."""
        path = "/api/events" if name is None else f"{_path(name)}/events"
        return self._get(f"{path}?since={since}&limit={limit}", tuple[AuditRow, ...])

    def disagreements(self, name: str, rollout: str = "", finding: str = "") -> tuple[Recorded, ...]:
        """The pairs on record of a rollout, the newest where none is named; the worst of each finding first."""
        wanted = {key: value for key, value in (("rollout", rollout), ("finding", finding)) if value}
        query = f"?{urlencode(wanted)}" if wanted else ""
        return self._get(f"{_path(name)}/disagreements{query}", tuple[Recorded, ...])

    def start(self, name: str, candidate: str, by: str, reason: str, override: bool = False) -> ModelStatus:
        """Returns how the model stands from now on; `override` passes over all that speaks against it."""
        body = {"candidate": candidate, "by": by, "reason": reason}
        return self._post(_path(name) + "/rollout", body | ({"override": True} if override else {}), START_SECONDS)

    def advance(self, name: str, by: str, reason: str, epoch: int | None = None, approval: bool = False) -> ModelStatus:
        """On to the next stage, where the rollout is in that of this `epoch` still; with `approval` only where that is
        waited for. Returns as `start` does."""
        body: dict[str, object] = {"by": by, "reason": reason}
        body |= {} if epoch is None else {"epoch": epoch}
        return self._post(f"{_path(name)}/rollout/advance", body | ({"approval": True} if approval else {}))

    def ask(self, name: str, wish: str, by: str, reason: str) -> ModelStatus:
        """`wish` is pause, resume, rollback or promote; a rollback needs a reason. Returns as `start` does."""
        return self._post(f"{_path(name)}/rollout/{wish}", {"by": by, "reason": reason})

    def promote(self, name: str, by: str, reason: str, override: bool = False) -> ModelStatus:
        """`override` promotes whatever the production gates say, and needs a reason. Returns as `start` does."""
        body = {"by": by, "reason": reason}
        return self._post(f"{_path(name)}/rollout/promote", body | ({"override": True} if override else {}))

    def revert(self, name: str, to: str, by: str, reason: str) -> ModelStatus:
        """Another version serves from now on: "previous", "fallback", or a version. Returns as `start` does."""
        return self._post(f"{_path(name)}/rollout/rollback", {"by": by, "reason": reason, "to": to})

    def production(self, name: str, candidate: str) -> ProductionFacts:
        """What is on record of a candidate, as production gates read it."""
        return self._get(f"{_path(name)}/production?{urlencode({'candidate': candidate})}", ProductionFacts)

    def approve(self, name: str, candidate: str, review: str, by: str, note: str) -> ProductionFacts:
        """Put a review on record; returns all that is on record of the candidate then."""
        body = {"candidate": candidate, "review": review, "by": by, "note": note}
        return self._decoded(self._exchange("POST", f"{_path(name)}/approvals", body), ProductionFacts)

    def record(self, report: Report) -> None:
        """Put a report of gates on record."""
        self._exchange("POST", f"{_path(report.model)}/reports", msgspec.to_builtins(report))

    def reload(self, by: str, reason: str) -> Taken:
        """Let it take up what its configuration's files say now."""
        return self._decoded(self._exchange("POST", "/api/reload", {"by": by, "reason": reason}), Taken)

    def rehearse(self) -> Rehearsal:
        """What a reload would change."""
        return self._decoded(self._exchange("POST", "/api/reload", {"dry_run": True}), Rehearsal)

    def test_alerts(self, urgency: str) -> tuple[Delivery, ...]:
        """Send a test alert to each channel of this urgency; what came of it."""
        answer = self._exchange("POST", "/api/alerts/test", {"urgency": urgency})
        return self._decoded(answer, tuple[Delivery, ...])

    def _get(self, path: str, answer: type[T]) -> T:
        return self._decoded(self._exchange("GET", path), answer)

    def _post(self, path: str, body: Mapping[str, object], seconds: float | None = None) -> ModelStatus:
        return self._decoded(self._exchange("POST", path, body, seconds), ModelStatus)

    def _decoded(self, response: httpx2.Response, answer: type[T]) -> T:
        try:
            return msgspec.json.decode(response.content, type=answer)
        except ValueError as error:
            raise self._stranger(f"this version cannot read its answer: {error}") from None

    def _exchange(
        self, method: str, path: str, body: Mapping[str, object] | None = None, seconds: float | None = None
    ) -> httpx2.Response:
        timeout = self._http.timeout if seconds is None else httpx2.Timeout(seconds)
        try:
            response = self._http.request(method, self._url + path, json=body, timeout=timeout)
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol):
            raise ControlFailed(f"{self._url} is no address: --control takes http://HOST:PORT", Exit.USAGE) from None
        except httpx2.TimeoutException:
            cause = f"the control plane at {self._url} did not answer in time"
            remedy = "see its log, or try again" if method == "GET" else "`penstock status` tells whether it was done"
            raise ControlFailed(f"{cause}: {remedy}", Exit.UNAVAILABLE) from None
        except httpx2.HTTPError as error:
            cause = f"no control plane answers at {self._url} ({error})"
            remedy = "start one with `penstock serve`, or name its address with --control"
            raise ControlFailed(f"{cause}: {remedy}", Exit.UNAVAILABLE) from None
        if response.status_code == 404 and path == _STATUS:
            raise self._stranger("it knows no /api/status")
        if not response.is_success:
            raise self._refusal(response)
        return response

    def _refusal(self, response: httpx2.Response) -> ControlFailed:
        try:
            refusal = msgspec.json.decode(response.content, type=_Refusal)
        except ValueError:
            return self._stranger(f"status {response.status_code}")
        text = f"{refusal.message}: {refusal.remedy}" if refusal.remedy else refusal.message
        return ControlFailed(text, Exit.UNAVAILABLE if response.is_server_error else Exit.REFUSED)

    def _stranger(self, what: str) -> ControlFailed:
        remedy = "--control takes the control port, 9080 by default, not the data port"
        return ControlFailed(f"{self._url} does not answer as a control plane ({what}): {remedy}", Exit.UNAVAILABLE)


class _Refusal(msgspec.Struct):
    message: str
    remedy: str = ""


def _path(model: str) -> str:
    return f"/api/models/{quote(model, safe='')}"
