"""What the helper does all its life: pairs come in, what was found goes out."""

from __future__ import annotations

from time import process_time
from typing import BinaryIO

from proxy.helper.frames import found_framed, read_pair
from proxy.pairs import look_at


def look_on(pairs: BinaryIO, findings: BinaryIO) -> None:
    """Until there are no more."""
    while (asked := read_pair(pairs)) is not None:
        findings.write(found_framed(look_at(*asked, process_time)))
        findings.flush()
