"""Two pieces of evidence as one: for a gate that allows a rate up to its limit or up to the champion's, whichever is
higher, and so asks two things before it fails a candidate, and one of two before it passes it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from gates.evidence.mixture import Vector


def both(left: ArrayLike, right: ArrayLike) -> Vector:
    """log E against "this or that": either may be the true one, so it is no larger than the smaller of the two."""
    return np.minimum(np.asarray(left, dtype=np.float64), right)


def either(left: ArrayLike, right: ArrayLike) -> Vector:
    """log E against "this and that": both are true then, and the mean of two e-processes is one, however they hang
    together."""
    combined: Vector = np.logaddexp(np.asarray(left, dtype=np.float64), right) - np.log(2)
    return combined
