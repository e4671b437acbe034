"""The one path of a request: snapshot, body, assignment, upstream, client, mirror."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable
from time import monotonic

from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, HTTPScope

from proxy import local
from proxy.begun import Begun, Failure, given_up, marks_of
from proxy.comparison import Answer, Comparison
from proxy.errors import AnswerCut, ClientGone, NoSnapshot, PenstockError, UnknownModel, UpstreamFailed
from proxy.headers import first, forwarded_fields, request_id, returned_fields
from proxy.mirror import Copy, Mirror
from proxy.peers import Peers
from proxy.routed import RoutedRequest
from proxy.routing import Variant, assign, match, unit_of
from proxy.slices import places_of
from proxy.snapshot import ShadowPolicy, Target
from proxy.tally import Answers, LaneTally
from proxy.upload import Upload, read_body
from proxy.upstream import Upstreams
from proxy.windows import Windows

FAILED = Answer(502, [], None)
"""Stands for an answer that did not come, or broke off."""


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
                self._copy(request, FAILED)  # what only the candidate can answer speaks for it
            raise
        if begun.variant == request.assignment.variant:
            self._copy(request, answer)
        elif begun.instead_of is not None:
            failure = begun.instead_of
            self._mirror.record(request, "champion", answer, failure.answer, Comparison(candidate_failure=failure.code))

    def _copy(self, request: RoutedRequest, answer: Answer) -> None:
        if request.copied and request.rest is not None:
            self._mirror.pass_over(request.route, "body_too_large")
        elif request.copied:
            self._mirror.offer(Copy(request, answer))

    async def _read(self, scope: HTTPScope, receive: ASGIReceiveCallable) -> RoutedRequest:
        snapshot = self._holder.current
        if snapshot is None:
            raise NoSnapshot("no snapshot yet: is the control plane reachable?")
        route = match(snapshot, scope["path"], scope["headers"])
        if route is None:
            raise UnknownModel(f"no model is served at {scope['path']}")
        received = scope["headers"]
        body, more = await read_body(receive, received, route.buffer, route.max_body)
        chunked = more and not first(received, b"content-length")
        length = int(first(received, b"content-length")) if more and not chunked else len(body)
        name = request_id(received) or self._new_id()
        client = scope["client"][0] if scope["client"] else ""
        fields = forwarded_fields(
            received, name, client, scope["scheme"], length, scope["http_version"], self._trusts(client), chunked
        )
        unit = unit_of(route.sticky, received, body, name)
        assignment = assign(route, unit)
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
            route.candidate is not None and _is_repeatable(scope, route.shadow),
            places,
            first_of_unit,
            Upload(receive, chunked, len(body), route.max_body, route.timeout) if more else None,
        )

    async def _begin(self, request: RoutedRequest) -> Begun:
        """The head of the answer that the client will get. A candidate that fails before its first byte is answered for
        by the champion, and blamed. Raises UpstreamFailed where the champion fails."""
        assignment = request.assignment
        if assignment.variant == "champion":
            return await self._ask(request, "champion", assignment.target)
        begun, code = None, ""
        try:
            begun = await self._ask(request, "candidate", assignment.target)
        except UpstreamFailed as failure:
            if request.rest is not None and request.rest.begun:
                raise  # what was passed on is not kept
            code = failure.code
        if begun is None:
            return await self._step_in(request, Failure(code))
        if begun.response.status < 400 or request.rest is not None:
            return begun
        if begun.response.status < 500:
            doubted = request.route.doubt_rejections and request.repeatable
            return await self._second_opinion(request, begun) if doubted else begun
        self._lane(request, "candidate").observe(begun.response.status, begun.first_byte, begun.first_byte)
        return await self._step_in(request, await given_up(begun, ""))

    async def _step_in(self, request: RoutedRequest, instead_of: Failure) -> Begun:
        """The champion's answer for a candidate that failed; it has its whole deadline, as a late answer is better than
        none. Raises UpstreamFailed."""
        self._windows.of(request.route, request.first).fallbacks += 1
        begun = await self._ask(request, "champion", request.route.champion)
        begun.instead_of = instead_of
        return begun

    async def _second_opinion(self, request: RoutedRequest, rejected: Begun) -> Begun:
        """The champion's answer where it accepts what the candidate has rejected, which then is the candidate's failure
        (MLflow's server answers 400 when the model itself crashes). Else the rejection stands: the client's fault."""
        try:
            champion = await self._ask(request, "champion", request.route.champion)
        except UpstreamFailed:
            return rejected
        except CancelledError:
            self._abandon(request, "candidate", rejected.first_byte)
            rejected.response.discard()
            raise
        if not 200 <= champion.response.status < 300:
            self._lane(request, "champion").observe(champion.response.status, champion.first_byte, champion.first_byte)
            champion.response.discard()
            return rejected
        lane = self._lane(request, "candidate")
        lane.observe(rejected.response.status, rejected.first_byte, rejected.first_byte)
        lane.blame("status_4xx")
        champion.instead_of = await given_up(rejected, "status_4xx")
        self._windows.of(request.route, request.first).fallbacks += 1
        return champion

    async def _ask(self, request: RoutedRequest, variant: Variant, target: Target) -> Begun:
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
            self._fail(request, variant, failure, monotonic() - start)
            raise
        except CancelledError:
            self._abandon(request, variant, monotonic() - start)
            raise
        first_byte = monotonic() - start
        if variant == "champion" and request.rest is None:  # else the client's upload is in it
            self._mirror.brake.observe(request.route.model, first_byte)
        return Begun(response, variant, target, start, first_byte)

    async def _relay(self, request: RoutedRequest, begun: Begun, send: ASGISendCallable) -> Answer:
        """Stream the answer to the client, and keep up to `agreement.max_body` bytes of it for the comparison.

        Raises AnswerCut where the upstream breaks off: the head is out, so the server aborts the connection."""
        response = begun.response
        headers = returned_fields(response.fields, response.status, marks_of(request, begun))
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
                if (request.copied or begun.instead_of is not None) and size <= request.route.agreement.max_body:
                    kept.append(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": more})
        except UpstreamFailed as failure:
            self._fail(request, begun.variant, failure, begun.seconds)
            raise AnswerCut(f"{request.route.model} {begun.variant} {begun.target.version}: {failure}") from failure
        except CancelledError:  # the client has left; the upstream may have done its part by then
            if response.complete:
                self._lane(request, begun.variant).observe(response.status, begun.seconds, begun.first_byte)
            else:
                self._abandon(request, begun.variant, begun.seconds)
            raise
        finally:
            response.discard()
        self._lane(request, begun.variant).observe(response.status, begun.seconds, begun.first_byte)
        return Answer(
            response.status, response.fields, b"".join(kept) if size <= request.route.agreement.max_body else None
        )

    def _fail(self, request: RoutedRequest, variant: Variant, failure: UpstreamFailed, seconds: float) -> None:
        """Count an exchange that failed. Raises what was wrong with the request where that, and no upstream, has ended
        it."""
        refusal = None if request.rest is None else request.rest.refusal
        if refusal is None:
            self._lane(request, variant).observe_failure(failure.code, seconds)
        else:
            self._abandon(request, variant, 0.0)
            raise refusal from failure

    def _abandon(self, request: RoutedRequest, variant: Variant, seconds: float) -> None:
        """Count a request that nobody waits for any more; the upstream had so many seconds for it."""
        if request.route.candidate is not None:
            self._lane(request, variant).abandon(seconds)

    def _lane(self, request: RoutedRequest, variant: Variant) -> LaneTally | Answers:
        return self._windows.of(request.route, request.first).answers(variant, request.route, request.places)


def _is_repeatable(scope: HTTPScope, policy: ShadowPolicy) -> bool:
    """Whether a request is one that may be made twice, and its client does not mind."""
    return (
        scope["method"] in policy.methods
        and (not policy.paths or scope["path"].endswith(policy.paths))
        and first(scope["headers"], b"x-penstock-shadow") != b"off"
    )
