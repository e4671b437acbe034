"""Which units have been seen: a bitmap, so that a worker's memory stays bounded however many users there are."""

from __future__ import annotations

SLOTS = 1 << 20


class Units:
    """128 KiB. Two units in one slot are taken for one: of n units that were seen, the next is overlooked with
    probability n / 1 048 576 at most, whatever its answer is like."""

    def __init__(self) -> None:
        self._seen = bytearray(SLOTS // 8)

    def first(self, unit: bytes) -> bool:
        """Whether the unit was not seen before; from now on it was."""
        slot = hash(unit) & (SLOTS - 1)  # of this process alone, which nobody outside can foresee
        place, bit = slot >> 3, 1 << (slot & 7)
        if self._seen[place] & bit:
            return False
        self._seen[place] |= bit
        return True
