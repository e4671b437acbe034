"""What callers make of a model's answers: the policy in force, for them to ask for as often as they like."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

import msgspec
from starlette.responses import Response

from gates.api.operations import JSON, Call, Operation
from gates.api.refusals import Refusal
from gates.controller.controller import Controller
from gates.settings.policy import Policy


@dataclass(frozen=True, slots=True)
class InForce:
    """The model's policy. `thresholds` are scores by the decision that they lead to; `rules` is whatever else callers
    go by."""

    model: str
    policy: Policy


class Policies:
    """Each model's, as it is configured now."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller

    def operations(self) -> list[Operation]:
        tells = "What callers make of the model's answers; 304 where it is what `if-none-match` names."
        unchanged = {304: "It is the one that the caller has."}
        return [Operation("GET", "/api/models/{model}/policy", tells, self._policy, answer=InForce, also=unchanged)]

    async def _policy(self, call: Call) -> Response:
        policy = self._controller.queries.policy(call.model)
        if policy is None:
            remedy = "add `policy` to its section of the configuration"
            raise Refusal(404, "no_policy", f"{call.model} has no policy", remedy)
        body = msgspec.json.encode(InForce(call.model, policy))
        headers = {"etag": f'"{sha256(body).hexdigest()[:16]}"', "cache-control": "no-cache"}
        if call.request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type=JSON)
