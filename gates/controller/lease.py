"""The lease to act on the store: ours, or that of a rival."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from gates.controller.steering import Steering
from gates.ports import StoreError

logger = logging.getLogger("penstock.control")

LEASE_SECONDS = 3.0
LEASE_EVERY = 0.5


class Lease:
    def __init__(self, steering: Steering) -> None:
        self.rival = ""
        """The other control plane that acts on this store, "" where none does."""
        self._steering = steering

    async def take(self) -> bool:
        """Take or renew it; whether it is ours now. Raises StoreError."""
        book = self._steering.book
        holder = await book.lead(LEASE_SECONDS)
        rival = "" if holder == book.name else holder
        if rival and rival != self.rival:
            logger.info("%s acts on this store; this control plane waits to take over", rival)
        self.rival = rival
        return not rival

    async def hold(self) -> None:
        """Renew it until a rival has it, and knows all that it must.

        While the store is gone nobody else can take it, and rollbacks go on."""
        while True:
            await asyncio.sleep(LEASE_EVERY)
            with suppress(StoreError):
                if not await self.take() and await self._steering.step_back():
                    return
