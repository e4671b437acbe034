"""What a judge did with many rollouts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEVER = np.inf


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Of each rollout: the second at which it was rolled back (`NEVER`: it was not), and whether it was promoted by the
    end of the hour. What is neither is still held."""

    rolled_back: NDArray[np.float64]
    promoted: NDArray[np.bool_]
