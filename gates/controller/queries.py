"""What can be asked about where things stand: nothing here changes anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from gates.controller import overview
from gates.controller.aliases import Aliases
from gates.controller.casebook import Casebook
from gates.controller.steering import Steering
from gates.ports import RegistryError
from gates.settings import ModelSettings, Policy
from gates.state import AuditRow, Recorded
from gates.status import ControlStatus, ModelStatus, UnresolvedStatus
from proxy.snapshot import ModelRoute


class Queries:
    """Every method raises what `configured` does for an unknown model."""

    def __init__(
        self,
        steering: Steering,
        casebook: Casebook,
        configured: Callable[[str], ModelSettings],
        aliases: Aliases,
        unresolved: Callable[[], Iterable[tuple[str, str]]],
    ) -> None:
        """`configured` gives a model's settings, `unresolved` each model and alias that the settings wait for."""
        self._steering = steering
        self._casebook = casebook
        self._configured = configured
        self._aliases = aliases
        self._unresolved = unresolved

    def status(self, model: str | None = None) -> ControlStatus:
        """Of all models, or of one; without a route it is among the unresolved alone."""
        if model is not None:
            self._configured(model)
        snapshot, observer = self._steering.standing.snapshot, self._steering.observer
        return ControlStatus(
            snapshot.generation,
            tuple(self._status_of(route) for route in snapshot.routes if model in (None, route.model)),
            observer.live(),
            self._steering.book.trouble,
            unresolved=tuple(one for one in self._waiting() if model in (None, one.model)),
        )

    def model_status(self, model: str) -> ModelStatus:
        """Raises RegistryError for one whose champion is not resolved yet."""
        settings = self._configured(model)
        route = self._steering.standing.snapshot.by_model.get(model)
        if route is None:
            raise RegistryError(f"{model}: the registry has not told yet which version {settings.champion} is")
        return self._status_of(route)

    async def events(self, model: str | None, limit: int, since: int = 0) -> Sequence[AuditRow]:
        """The newest audit rows, of one model or of all, newest first; of a generation and later ones.

        Raises StoreError."""
        if model is not None:
            self._configured(model)
        return await self._steering.book.history(model, limit, since)

    def policy(self, model: str) -> Policy | None:
        """What callers make of the model's answers, None where nothing is configured."""
        return self._configured(model).policy

    async def disagreements(self, model: str, rollout: str = "") -> Sequence[Recorded]:
        """The pairs on record of a rollout of the model, the newest where none is named: the worst of each finding
        first.

        Raises StoreError."""
        self._configured(model)
        newest = self._steering.standing.rollouts.get(model)
        wanted = rollout or (newest.id if newest else "")
        return [pair for pair in await self._casebook.of(model, wanted) if pair.model == model]

    def _waiting(self) -> Iterator[UnresolvedStatus]:
        routed = self._steering.standing.snapshot.by_model
        for model, alias in self._unresolved():
            yield UnresolvedStatus(model, alias, model in routed, self._aliases.trouble(model, alias))

    def _status_of(self, route: ModelRoute) -> ModelStatus:
        standing = self._steering.standing
        serving, served = standing.servings[route.model], self._configured(route.model).servers
        return overview.model_status(standing.snapshot, self._steering.observer, route, serving, served)
