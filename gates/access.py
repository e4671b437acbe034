"""Who may do what: the roles, and the matrix of the control port's routes by role.

The matrix is the whole truth about rights. A route that it does not name cannot be served: see `gates.api`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a token, or a person's claim, lets its bearer do."""

    VIEWER = "viewer"
    """Looks: status, history, metrics."""
    DATA_SCIENTIST = "data_scientist"
    """Looks, as a viewer does: models and their figures are theirs, traffic is not."""
    ML_ENGINEER = "ml_engineer"
    """Brings candidates: starts a rollout, and takes back what goes wrong."""
    OPERATOR = "operator"
    """On call: pauses, resumes, rolls back and reloads, but lets nothing further into production."""
    RELEASE_MANAGER = "release_manager"
    """Lets candidates further into production: all that a rollout can be asked."""
    ADMIN = "admin"
    """May do everything that a person may."""
    SERVICE_ACCOUNT = "service_account"
    """A program: a worker, which takes snapshots and brings windows, or a scraper of metrics."""


Roles = frozenset[Role]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks, and what that allows. `until` is in seconds since the epoch, None where it does not end."""

    name: str
    roles: Roles
    until: float | None = None

    def may(self, route: str) -> bool:
        """Whether the matrix lets this one call the route. Raises LookupError for one that the matrix lacks."""
        roles = allowed(route)
        return roles is None or bool(self.roles & roles)


ANYONE: None = None
"""No token is asked: probes, which tell nothing, and what a browser needs in order to log in."""
READ: Roles = frozenset(Role)
PEOPLE: Roles = frozenset(Role) - {Role.SERVICE_ACCOUNT}
# To what is known to serve well; a rollback to a version that has not served before asks for RELEASE.
RETREAT: Roles = frozenset({Role.ML_ENGINEER, Role.OPERATOR, Role.RELEASE_MANAGER, Role.ADMIN})
START: Roles = frozenset({Role.ML_ENGINEER, Role.RELEASE_MANAGER, Role.ADMIN})
RESUME: Roles = frozenset({Role.OPERATOR, Role.RELEASE_MANAGER, Role.ADMIN})
RELEASE: Roles = frozenset({Role.RELEASE_MANAGER, Role.ADMIN})
KEEP: Roles = frozenset({Role.OPERATOR, Role.RELEASE_MANAGER, Role.ADMIN})
WORK: Roles = frozenset({Role.SERVICE_ACCOUNT})

REVIEW: Roles = PEOPLE - {Role.VIEWER}
REPORT: Roles = START | WORK
LABEL: Roles = REPORT | {Role.DATA_SCIENTIST}

_ROLLOUT = "/api/models/{model}/rollout"

MATRIX: Mapping[str, Roles | None] = {
    "GET /": ANYONE,
    "GET /dashboard/{name}": ANYONE,
    "GET /api/stream": READ,
    "GET /api/status": READ,
    "GET /api/events": READ,
    "GET /api/models": READ,
    "GET /api/models/{model}": READ,
    "GET /api/models/{model}/events": READ,
    "GET /api/models/{model}/history": READ,
    "GET /api/models/{model}/disagreements": PEOPLE,
    "GET /api/models/{model}/policy": READ,
    "GET /api/models/{model}/production": READ,
    "POST /api/models/{model}/approvals": REVIEW,
    "POST /api/models/{model}/reports": REPORT,
    "POST /api/outcomes": LABEL,
    f"POST {_ROLLOUT}": START,
    f"POST {_ROLLOUT}/advance": RELEASE,
    f"POST {_ROLLOUT}/pause": RETREAT,
    f"POST {_ROLLOUT}/resume": RESUME,
    f"POST {_ROLLOUT}/rollback": RETREAT,
    f"POST {_ROLLOUT}/promote": RELEASE,
    "POST /api/reload": KEEP,
    "POST /api/alerts/test": KEEP,
    "GET /api/session": READ,
    "POST /api/session": ANYONE,
    "DELETE /api/session": ANYONE,
    "GET /link/snapshot": WORK,
    "POST /link/windows": WORK,
    "GET /api/openapi.json": ANYONE,
    "GET /metrics": READ,
    "GET /-/live": ANYONE,
    "GET /-/ready": ANYONE,
}
"""Which roles may call each route, by its method and path."""


def allowed(route: str) -> Roles | None:
    """The roles that may call the route, None where anyone may. Raises LookupError for one that the matrix lacks."""
    if route not in MATRIX:
        raise LookupError(f"{route} is not in the matrix of gates/access.py: say there which roles may call it")
    return MATRIX[route]
