"""What a comparison costs: `python -m loadtests.comparison`, without a server, on one core.

Pairs of answers of one model that differ a little, so that both are read and compared to the end. `made in` is the best
of several rounds, as anything above it is the machine's noise. Exits 1 where a target is missed. A second table tells
what long pairs cost the worker, where they are compared by its helper, and what they would in its loop.
"""

from __future__ import annotations

import asyncio
import json
import random
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from time import process_time

import uvloop
from rich.console import Console
from rich.table import Table

from proxy.comparison import Answer, compare
from proxy.helper.client import Helper
from proxy.pairs import Pair, look_at
from proxy.snapshot import AgreementSpec

ROUNDS = 7
ROUND_SECONDS = 0.05
PAIRS = 10
DEFAULT = AgreementSpec()
EXACT = AgreementSpec(relative=0, absolute=0)
_FIELDS = [(b"date", b"today"), (b"server", b"x"), (b"content-length", b"1"), (b"content-type", b"application/json")]


@dataclass(frozen=True, slots=True)
class Case:
    """One pair of answers; `target` is the most microseconds that comparing it may take, None without a target."""

    name: str
    champion: Answer
    candidate: Answer
    target: float | None = None
    spec: AgreementSpec = DEFAULT


def cases() -> list[Case]:
    drawn = random.Random(1)
    numbers = [drawn.random() for _ in range(60_000)]
    near = [number * 1.0001 for number in numbers]

    def pair(made: Callable[[list[float]], object]) -> tuple[Answer, Answer]:
        return _json(made(numbers)), _json(made(near))

    return [
        Case("equal bytes, 10 KB", *2 * (pair(lambda drawn: {"predictions": drawn[:500]})[0],)),
        Case("numbers, 200 B", *pair(lambda drawn: {"predictions": drawn[:9]}), target=10),
        Case("numbers, 10 KB", *pair(lambda drawn: {"predictions": drawn[:500]}), target=150),
        Case("probability vectors, 10 KB", *pair(lambda drawn: {"predictions": _in_twos(drawn[:480])}), target=150),
        Case("V2, 10 KB", *pair(lambda drawn: {"outputs": [_tensor(drawn[:500])]}), target=150),
        Case("V2 binary, 10 KB", _binary(numbers[:2500]), _binary(near[:2500])),
        Case("records, 10 KB", *pair(lambda drawn: {"predictions": [{"a": "cat", "p": p} for p in drawn[:250]]})),
        Case("embeddings, 32 x 384", *pair(lambda drawn: {"data": _embeddings(drawn, 32, 384)}), spec=EXACT),
        Case("numbers, 1 MB", *pair(lambda drawn: {"predictions": drawn[:50_000]})),
    ]  # fmt: skip


def _json(document: object) -> Answer:
    return Answer(200, _FIELDS, json.dumps(document).encode())


def _in_twos(drawn: list[float]) -> list[list[float]]:
    return [drawn[at : at + 2] for at in range(0, len(drawn), 2)]


def _tensor(drawn: list[float]) -> dict[str, object]:
    return {"name": "y", "shape": [len(drawn)], "datatype": "FP32", "data": drawn}


def _binary(drawn: list[float]) -> Answer:
    output = {
        "name": "y",
        "shape": [len(drawn)],
        "datatype": "FP32",
        "parameters": {"binary_data_size": 4 * len(drawn)},
    }
    head = json.dumps({"outputs": [output]}).encode()
    fields = [*_FIELDS, (b"inference-header-content-length", b"%d" % len(head))]
    return Answer(200, fields, head + struct.pack(f"<{len(drawn)}f", *drawn))


def _embeddings(drawn: list[float], rows: int, width: int) -> list[dict[str, object]]:
    return [{"index": row, "embedding": drawn[row * width : (row + 1) * width]} for row in range(rows)]


def microseconds(case: Case) -> float:
    """The best mean of `ROUNDS` rounds."""

    def mean(times: int) -> float:
        start = process_time()
        for _ in range(times):
            compare(case.champion, case.candidate, case.spec, b"/invocations")
        return (process_time() - start) / times

    times = max(1, int(ROUND_SECONDS / mean(3)))
    return min(mean(times) for _ in range(ROUNDS)) * 1e6


async def handed_over(pair: Pair) -> tuple[float, float]:
    """Microseconds of CPU that a pair takes of this process where a helper compares it, and of the helper."""
    helper = Helper(asyncio.get_running_loop())
    try:
        await helper.look_at(pair, False)  # starts it
        worker, helped = [], []
        for _ in range(ROUNDS):
            start = process_time()
            found = [await helper.look_at(pair, False) for _ in range(PAIRS)]
            worker.append((process_time() - start) / PAIRS)
            helped += [one.seconds for one in found if not isinstance(one, str)]
        return min(worker) * 1e6, min(helped) * 1e6
    finally:
        helper.stop()


def long_pairs() -> Table:
    table = Table("long pair of numbers", "in the loop", "the worker, with a helper", "the helper")
    for name, count in (("50 KB each", 2_500), ("200 KB each", 10_000), ("1 MB each", 50_000)):
        drawn = random.Random(1)
        numbers = [drawn.random() for _ in range(count)]
        champion, other = (_json({"predictions": [number * factor for number in numbers]}) for factor in (1, 1.0001))
        pair = Pair(champion, other, DEFAULT)
        here = min(look_at(pair, False, process_time).seconds for _ in range(ROUNDS)) * 1e6
        table.add_row(name, *(f"{took:,.0f} us" for took in (here, *uvloop.run(handed_over(pair)))))
    return table


def main() -> int:
    table = Table("pair of answers", "bytes each", "made in", "target")
    missed = False
    for case in cases():
        took = microseconds(case)
        missed |= case.target is not None and took > case.target
        size = len(case.champion.body or b"")
        table.add_row(case.name, f"{size:,}", f"{took:,.1f} us", f"{case.target:g} us" if case.target else "")
    Console().print(table, long_pairs())
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
