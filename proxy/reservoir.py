"""A worker's reservoir: the disagreements that it has chosen, and which of them are still to be pushed."""

from __future__ import annotations

from proxy.comparison import Answer, Comparison
from proxy.disagreements import Disagreement, Ranked, Request, Selection, recorded, salted_lot, severity_of
from proxy.routing import Variant
from proxy.snapshot import ModelRoute, Snapshot

MOST_IN_A_PUSH = 2 * 1024 * 1024
"""Characters of all texts in one push; what is over waits for the next."""


class Reservoir:
    """One selection for each model and rollout, so that what is pushed becomes rare soon: of n pairs about
    2 keep (1 + ln(n / keep)) are ever chosen. A pair that is outdone before it was pushed never leaves the worker."""

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._number = 0
        self._selections: dict[tuple[str, str, int], Selection] = {}
        self._waiting: dict[str, Disagreement] = {}

    def offer(
        self,
        finding: str,
        comparison: Comparison,
        route: ModelRoute,
        served: Variant,
        request: Request,
        champion: Answer,
        candidate: Answer,
    ) -> None:
        """Take up a pair that differs, by the name of its finding, if it is chosen; `served` is whose answer the client
        got."""
        self._number += 1
        lot = salted_lot(route, request.fields)
        pair = Ranked(f"{self._worker}-{self._number}", finding, severity_of(comparison), lot)
        key = (route.model, route.salt, route.record.keep)
        selection = self._selections.get(key)
        if selection is None:
            selection = self._selections[key] = Selection(route.record.keep)
        out = selection.add(pair)
        if pair.id not in out:
            self._waiting[pair.id] = recorded(pair, comparison, route, served, request, champion, candidate)
        for gone in out:
            self._waiting.pop(gone, None)

    @property
    def waiting(self) -> bool:
        return bool(self._waiting)

    def next(self) -> tuple[Disagreement, ...]:
        """What is to be pushed next. What was not received must be given back to `put_back`."""
        taken: list[Disagreement] = []
        room = MOST_IN_A_PUSH
        while self._waiting and room > 0:
            pair = self._waiting.pop(next(iter(self._waiting)))
            taken.append(pair)
            room -= len(pair.request) + len(pair.champion.body) + len(pair.candidate.body)
        return tuple(taken)

    def put_back(self, pairs: tuple[Disagreement, ...]) -> None:
        self._waiting = {pair.id: pair for pair in pairs} | self._waiting

    def forget_old(self, snapshot: Snapshot) -> None:
        """Drop the selections of rollouts that no snapshot routes by any more."""
        current = {(route.model, route.salt, route.record.keep) for route in snapshot.routes}
        self._selections = {key: kept for key, kept in self._selections.items() if key in current}
