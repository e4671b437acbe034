"""Rollouts that begin: those that people ask for, and those that the configuration names."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from gates.controller import reconcile
from gates.controller.aliases import Aliases
from gates.controller.people import NoGo
from gates.controller.promotions import Promotions
from gates.controller.routes import Unroutable
from gates.controller.steering import AlreadyChampion, CoolingDown, Steering
from gates.decision import Decision
from gates.phases import IllegalEvent
from gates.ports import RegistryError, StoreError
from gates.settings import ModelSettings, Settings

logger = logging.getLogger("penstock.control")


class Starts:
    """A candidate is admitted first, and that may take minutes: what holds by then is asked again."""

    def __init__(
        self,
        steering: Steering,
        promotions: Promotions,
        aliases: Aliases,
        new_id: Callable[[], str],
        configured: Callable[[str], ModelSettings],
        settings: Callable[[], Settings],
    ) -> None:
        """`configured` gives a model's settings, `settings` those in force."""
        self._steering = steering
        self._promotions = promotions
        self._aliases = aliases
        self._new_id = new_id
        self._configured = configured
        self._settings = settings

    async def begin(self, model: str, candidate: str, by: str, reason: str, override: bool) -> Decision:
        """Raises as `Controller.start_rollout` does."""
        settings = self._configured(model)
        version = await self._aliases.version(model, candidate)
        await self._promotions.admit(settings, version, by, reason, override)
        return await self._begun(model, version, by, reason, override)

    async def begin_wanted(self, at_once: bool = False) -> bool:
        """Begin the rollouts that the settings name, none of which waits for another's gates; `at_once` those alone
        whose gates have no files to read. False where the store could not take one that is to come yet."""
        wanted = [(self._configured(model), candidate) for model, candidate in self._wanted()]
        async with asyncio.TaskGroup() as beginning:
            begun = [
                beginning.create_task(self._begin_wanted(model, candidate))
                for model, candidate in wanted
                if not (at_once and self._promotions.reads_files(model))
            ]
        return all(each.result() for each in begun)

    async def _begin_wanted(self, model: ModelSettings, candidate: str) -> bool:
        by, reason = reconcile.CONFIGURATION, "named by the configuration"
        try:
            await self._promotions.admit(model, candidate, by, reason, override=False, anew=False)
            if (model.name, candidate) in self._wanted():
                await self._begun(model.name, candidate, by, reason, override=False)
        except (Unroutable, IllegalEvent, AlreadyChampion, CoolingDown, NoGo, RegistryError) as error:
            logger.error("the rollout that the configuration names cannot begin: %s", error)
        except StoreError as error:
            logger.error("the rollout that the configuration names has to wait for the store: %s", error)
            return False
        return True

    async def _begun(self, model: str, version: str, by: str, reason: str, override: bool) -> Decision:
        settings = self._configured(model)
        begun = await self._steering.begin(settings, self._new_id(), version, by, reason, override)
        if settings.percent is not None:
            await self._steering.configure(self._settings(), self._aliases.known)
        return begun

    def _wanted(self) -> list[tuple[str, str]]:
        return reconcile.wanted(self._settings(), self._steering.standing, self._aliases.known)
