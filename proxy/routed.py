"""A request under the one route that it will ever see."""

from __future__ import annotations

from typing import Final

from proxy.routing import Assignment
from proxy.slices import Places
from proxy.snapshot import ModelRoute
from proxy.upload import Upload


class RoutedRequest:
    """A client's request, with its fields as they are forwarded. `repeatable` tells whether both variants may be asked,
    `copied` whether the one that does not serve gets it in any case, and `first` whether it is its unit's first.

    It is read whole, unless it is longer than what is held. Then the `rest` goes on as it comes, and the request can
    neither be copied nor, once it has begun, repeated for the champion.

    Made for each request, and compiled: a plain class is read and made in a fraction of a frozen dataclass' time."""

    __slots__ = (
        "assignment",
        "body",
        "copied",
        "fields",
        "first",
        "id",
        "method",
        "places",
        "repeatable",
        "rest",
        "route",
        "target",
    )

    def __init__(
        self,
        route: ModelRoute,
        method: str,
        target: bytes,
        fields: bytes,
        body: bytes,
        id: bytes,
        assignment: Assignment,
        repeatable: bool,
        places: Places,
        first: bool,
        rest: Upload | None,
    ) -> None:
        self.route: Final = route
        self.method: Final = method
        self.target: Final = target
        self.fields: Final = fields
        self.body: Final = body
        self.id: Final = id
        self.assignment: Final = assignment
        self.repeatable: Final = repeatable
        self.copied: Final = repeatable and assignment.shadow is not None
        self.places: Final = places
        self.first: Final = first
        self.rest: Final = rest
