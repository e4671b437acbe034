"""The one path of a request: snapshot, body, assignment, upstream, client, mirror."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Final

from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, HTTPScope

from proxy import local
from proxy.comparison import Answer
from proxy.errors import AnswerCut, BodyTooLarge, ClientGone, NoSnapshot, PenstockError, UnknownModel, UpstreamFailed
from proxy.headers import AnyFields, Fields, first, forwarded_fields, request_id, returned_fields
from proxy.mirror import Copy, Mirror
from proxy.peers import Peers
from proxy.response import Response
from proxy.routed import RoutedRequest
from proxy.routing import Variant, assign, match, unit_of
from proxy.slices import places_of
from proxy.snapshot import Target
from proxy.tally import Answers, LaneTally
from proxy.upload import Upload
from proxy.upstream import Upstreams
from proxy.windows import Windows

FAILED = Answer(502, [], None)
"""Stands for an answer that did not come, or broke off."""


class _Begun:
    """An answer whose head is there: who gives it, when it was asked for, and the seconds that the head took."""

    __slots__ = ("fallback", "first_byte", "response", "start", "target", "variant")

    def __init__(
        self, response: Response, variant: Variant, target: Target, start: float, first_byte: float, fallback: bool
    ) -> None:
        self.response: Final = response
        self.variant: Final = variant
        self.target: Final = target
        self.start: Final = start
        self.first_byte: Final = first_byte
        self.fallback: Final = fallback


class DataPlane:
    """The ASGI callable of a worker. `new_id` makes the request id of a client that sent none.

    The server gives the request target, byte for byte as the client sent it, in `scope["state"]["target"]`."""

    def __init__(
        self,
        holder: local.Holder,
        upstreams: Upstreams,
        mirror: Mirror,
        windows: Windows,
        new_id: Callable[[], bytes],
        peers: Peers,
    ) -> None:
        self._holder = holder
        self._upstreams = upstreams
        self._mirror = mirror
        self._windows = windows
        self._new_id = new_id
        self._trusts = peers.trusts

    async def __call__(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Raises AnswerCut where an answer breaks off that the client has begun to read."""
        told: PenstockError | None = None
        try:
            if scope["path"].startswith("/-/"):
                await local.answer(self._holder, self._upstreams, scope["path"], send)
            else:
                await self._proxy(scope, receive, send)
        except (AnswerCut, ClientGone):
            raise
        except PenstockError as error:
            told = error
        if told is not None:  # here and below, nothing is awaited within an `except`: see strand.py
            await local.answer_error(told, send)

    async def _proxy(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        request = await self._read(scope, receive)
        try:
            begun = await self._begin(request)
            answer = await self._relay(request, begun, send)
        except (UpstreamFailed, AnswerCut) as error:
            error.request_id = request.id.decode("latin-1")
            if request.assignment.variant == "champion":
                self._copy(request, FAILED, None)  # what only the candidate can answer speaks for it
            raise
        if begun.variant == request.assignment.variant:
            self._copy(request, answer, begun.first_byte)

    def _copy(self, request: RoutedRequest, answer: Answer, first_byte: float | None) -> None:
        if request.copied and request.rest is not None:
            self._mirror.pass_over(request.route, "body_too_large")
        elif request.copied:
            self._mirror.offer(Copy(request, answer, first_byte))

    async def _read(self, scope: HTTPScope, receive: ASGIReceiveCallable) -> RoutedRequest:
        snapshot = self._holder.current
        if snapshot is None:
            raise NoSnapshot("no snapshot yet: is the control plane reachable?")
        route = match(snapshot, scope["path"], scope["headers"])
        if route is None:
            raise UnknownModel(f"no model is served at {scope['path']}")
        received = scope["headers"]
        body, more = await _read_body(receive, received, route.buffer, route.max_body)
        chunked = more and not first(received, b"content-length")
        length = int(first(received, b"content-length")) if more and not chunked else len(body)
        name = request_id(received) or self._new_id()
        client = scope["client"][0] if scope["client"] else ""
        fields = forwarded_fields(
            received, name, client, scope["scheme"], length, scope["http_version"], self._trusts(client), chunked
        )
        unit = unit_of(route.sticky, received, body, name)
        assignment = assign(route, unit)
        copied = (
            assignment.shadow is not None
            and scope["method"] in route.shadow.methods
            and (not route.shadow.paths or scope["path"].endswith(route.shadow.paths))
            and first(received, b"x-penstock-shadow") != b"off"
        )
        first_of_unit = self._windows.first(route, unit)
        places = places_of(route.slices, received, body) if route.slices else ()
        return RoutedRequest(
            route,
            scope["method"],
            scope["state"]["target"],
            fields,
            body,
            name,
            assignment,
            copied,
            places,
            first_of_unit,
            Upload(receive, chunked, len(body), route.max_body, route.timeout) if more else None,
        )

    async def _begin(self, request: RoutedRequest) -> _Begun:
        """The head of the answer that the client will get. A candidate that fails before its first byte is answered for
        by the champion, and blamed. Raises UpstreamFailed where the champion fails."""
        assignment = request.assignment
        if assignment.variant == "champion" or request.rest is not None:
            return await self._ask(request, assignment.variant, assignment.target)
        begun: _Begun | None = None
        with suppress(UpstreamFailed):
            begun = await self._ask(request, "candidate", assignment.target)
        if begun is None:
            return await self._step_in(request)
        if begun.response.status < 400:
            return begun
        if begun.response.status < 500:
            doubted = request.route.doubt_rejections and request.method in request.route.shadow.methods
            return await self._second_opinion(request, begun) if doubted else begun
        self._lane(request, "candidate").observe(begun.response.status, begun.first_byte, begun.first_byte)
        begun.response.discard()
        return await self._step_in(request)

    async def _step_in(self, request: RoutedRequest) -> _Begun:
        """The champion's answer for a candidate that failed; it has its whole deadline, as a late answer is better than
        none. Raises UpstreamFailed."""
        self._windows.of(request.route, request.first).fallbacks += 1
        return await self._ask(request, "champion", request.route.champion, fallback=True)

    async def _second_opinion(self, request: RoutedRequest, rejected: _Begun) -> _Begun:
        """The champion's answer where it accepts what the candidate has rejected, which then is the candidate's failure
        (MLflow's server answers 400 when the model itself crashes). Else the rejection stands: the client's fault."""
        try:
            champion = await self._ask(request, "champion", request.route.champion, fallback=True)
        except UpstreamFailed:
            return rejected
        except CancelledError:
            rejected.response.discard()
            raise
        if not 200 <= champion.response.status < 300:
            champion.response.discard()
            return rejected
        lane = self._lane(request, "candidate")
        lane.observe(rejected.response.status, rejected.first_byte, rejected.first_byte)
        lane.blame("status_4xx")
        rejected.response.discard()
        self._windows.of(request.route, request.first).fallbacks += 1
        return champion

    async def _ask(self, request: RoutedRequest, variant: Variant, target: Target, fallback: bool = False) -> _Begun:
        if request.route.candidate is not None:
            self._lane(request, variant).ask()
        start = monotonic()
        deadline = start + request.route.timeout
        try:
            response = await self._upstreams.send(
                variant,
                target.origins,
                request.method,
                request.target,
                request.fields,
                request.body,
                deadline,
                request.route.max_concurrent,
                request.rest,
            )
        except UpstreamFailed as failure:
            _raise_refusal(request, failure)
            self._lane(request, variant).observe_failure(failure.code, monotonic() - start)
            raise
        return _Begun(response, variant, target, start, monotonic() - start, fallback)

    async def _relay(self, request: RoutedRequest, begun: _Begun, send: ASGISendCallable) -> Answer:
        """Stream the answer to the client, and keep up to `agreement.max_body` bytes of it for the comparison.

        Raises AnswerCut where the upstream breaks off: the head is out, so the server aborts the connection."""
        response = begun.response
        headers = returned_fields(response.fields, response.status, _marks(request, begun))
        kept: list[bytes] = []
        size = 0
        try:
            await send(
                {"type": "http.response.start", "status": response.status, "headers": headers, "trailers": False}
            )
            if not response.readable:  # the head of a slow stream goes out by itself
                await send({"type": "http.response.body", "body": b"", "more_body": True})
            more = True
            while more:
                chunk = await response.read()
                more = not response.finished
                size += len(chunk)
                if request.copied and size <= request.route.agreement.max_body:
                    kept.append(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": more})
        except UpstreamFailed as failure:
            _raise_refusal(request, failure)
            self._lane(request, begun.variant).observe_failure(failure.code, monotonic() - begun.start)
            raise AnswerCut(f"{request.route.model} {begun.variant} {begun.target.version}: {failure}") from failure
        finally:
            response.discard()
        self._lane(request, begun.variant).observe(response.status, monotonic() - begun.start, begun.first_byte)
        return Answer(
            response.status, response.fields, b"".join(kept) if size <= request.route.agreement.max_body else None
        )

    def _lane(self, request: RoutedRequest, variant: Variant) -> LaneTally | Answers:
        return self._windows.of(request.route, request.first).answers(variant, request.route, request.places)


def _raise_refusal(request: RoutedRequest, failure: UpstreamFailed) -> None:
    """Raise what was wrong with the request where that, and no upstream, has ended its exchange."""
    if request.rest is not None and request.rest.refusal is not None:
        raise request.rest.refusal from failure


async def _read_body(receive: ASGIReceiveCallable, fields: AnyFields, buffer: int, limit: int) -> tuple[bytes, bool]:
    """The client's body as far as it is held, and whether there is more: the whole, but for one of over `buffer` bytes.

    Raises BodyTooLarge over `limit` bytes, ClientGone where it breaks off."""
    declared = first(fields, b"content-length")
    if declared and int(declared) > limit:
        raise BodyTooLarge(f"the request's body is over {limit} bytes")
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone("the client left before its request was whole")
        size += len(message["body"])
        if size > limit:
            raise BodyTooLarge(f"the request's body is over {limit} bytes")
        parts.append(message["body"])
        more = message["more_body"]
        if not more or size > buffer:
            return parts[0] if len(parts) == 1 else b"".join(parts), more


def _marks(request: RoutedRequest, begun: _Begun) -> Fields:
    """The fields that tell a client who answered."""
    marks = [
        (b"x-request-id", request.id),
        (b"x-penstock-model", request.route.model.encode()),
        (b"x-penstock-version", begun.target.version.encode()),
        (b"x-penstock-variant", begun.variant.encode()),
    ]
    if begun.fallback:
        marks.append((b"x-penstock-fallback", b"candidate-error"))
    return marks
