"""Answers whose head is there: who gives them, and in whose place."""

from __future__ import annotations

from time import monotonic
from typing import Final

from proxy.comparison import Answer
from proxy.disagreements import NO_ANSWER
from proxy.headers import Fields
from proxy.response import Response
from proxy.routed import RoutedRequest
from proxy.routing import Variant
from proxy.snapshot import Target


class Failure:
    """How the candidate has failed a request that it was to serve, and what it had answered by then."""

    __slots__ = ("answer", "code")

    def __init__(self, code: str, answer: Answer = NO_ANSWER) -> None:
        self.code: Final = code
        self.answer: Final = answer


class Begun:
    """An answer whose head is there: who gives it, when it was asked for, and the seconds that the head took. The
    champion's may come `instead_of` one that the candidate was to give."""

    __slots__ = ("first_byte", "instead_of", "response", "start", "target", "variant")

    def __init__(self, response: Response, variant: Variant, target: Target, start: float, first_byte: float) -> None:
        self.response: Final = response
        self.variant: Final = variant
        self.target: Final = target
        self.start: Final = start
        self.first_byte: Final = first_byte
        self.instead_of: Failure | None = None

    @property
    def seconds(self) -> float:
        """The time that it has taken so far, or until it was whole, but for that in which it waited for its client."""
        response = self.response
        return (response.held_since or response.ended or monotonic()) - self.start - response.held


async def given_up(rejected: Begun, code: str) -> Failure:
    """A bad answer that nobody will get, with what has come of its body."""
    response = rejected.response
    body = await response.read() if response.readable else b""
    response.discard()
    return Failure(code, Answer(response.status, response.fields, body))


def marks_of(request: RoutedRequest, begun: Begun) -> Fields:
    """The fields that tell a client who answered."""
    marks = [
        (b"x-request-id", request.id),
        (b"x-penstock-model", request.route.model.encode()),
        (b"x-penstock-version", begun.target.version.encode()),
        (b"x-penstock-variant", begun.variant.encode()),
    ]
    if begun.instead_of is not None:
        marks.append((b"x-penstock-fallback", b"candidate-error"))
    return marks
