"""The versions that aliases name, as the registry tells them."""

from __future__ import annotations

from gates.controller.daemonthread import DaemonThread, in_thread
from gates.controller.reconcile import Versions, is_alias
from gates.ports import Registry, RegistryError


class NoRegistry(RegistryError):
    """There is none to ask, now or later."""


class Aliases:
    """`known` are those that have been resolved for good; `calls` is the thread in which the registry is used."""

    def __init__(self, registry: Registry | None) -> None:
        self.calls = DaemonThread("registry")
        self._registry = registry
        self._known: dict[tuple[str, str], str] = {}
        self._troubles: dict[tuple[str, str], str] = {}

    @property
    def known(self) -> Versions:
        return self._known

    async def learn(self, model: str, alias: str) -> None:
        """Resolve it for good. Raises RegistryError."""
        try:
            self._known[model, alias] = await self.version(model, alias)
        except RegistryError as error:
            self._troubles[model, alias] = str(error)
            raise
        self._troubles.pop((model, alias), None)

    def trouble(self, model: str, alias: str) -> str:
        """Why it could not be resolved when that was last tried, "" where it never failed, or has been resolved."""
        return self._troubles.get((model, alias), "")

    async def version(self, model: str, reference: str) -> str:
        """What an alias names now; a version is itself, and nobody is asked. Raises RegistryError."""
        if not is_alias(reference):
            return reference
        if self._registry is None:
            raise NoRegistry(f"{model}: {reference} is an alias, and no registry is configured")
        return await in_thread(self.calls, self._registry.resolve, model, reference)

    def close(self) -> None:
        self.calls.shutdown(wait=False)
