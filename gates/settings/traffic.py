"""The configuration's keys for a model's traffic: units of assignment, copies, probes."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from gates.settings import kinds
from gates.settings.kinds import Keys, contradiction, written
from proxy.snapshot import HealthProbe, ShadowPolicy, Sticky


class StickyKeys(Keys):
    """Where the unit of assignment is found: name one. A unit that the candidate serves stays with it."""

    header: kinds.Header | None = None
    """A request header."""
    cookie: kinds.Cookie | None = None
    """A cookie."""
    json_path: kinds.JsonPath | None = Field(None, alias="json")
    """A key in the JSON body, with a dot between levels, such as user.id."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise contradiction("expected one of header, cookie and json")
        return self

    def sticky(self) -> Sticky:
        if self.header is not None:
            return Sticky("header", self.header)
        return Sticky("cookie", self.cookie) if self.cookie is not None else Sticky("json", self.json_path or "")


class ShadowKeys(Keys):
    """How much of the traffic is copied, and the bounds that keep the copies harmless."""

    percent: kinds.BasisPoints = written(100)
    """The percentage of requests that is copied, with at most two decimals."""
    max_in_flight: Annotated[int, Field(ge=1)] = 256
    """The most copies on their way at once, in each worker; what is over is dropped and counted."""
    max_bytes: kinds.Size = written("64MiB")
    """The most bytes that copies on their way may hold with their answers, in each worker; what is over is dropped and
    counted."""
    timeout: kinds.Deadline = written("2s")
    """The time that a copy's whole exchange may take."""
    methods: Annotated[list[kinds.Method], Field(min_length=1)] = written(["POST"])
    """The methods of the requests that are copied: those that may be made twice."""
    paths: list[kinds.PathEnd] = written([])
    """What the paths of the requests that are copied end with, such as /invocations; without any, all are."""

    def policy(self) -> ShadowPolicy:
        bounds = (self.max_in_flight, self.max_bytes, self.timeout)
        return ShadowPolicy(self.percent, *bounds, tuple(self.methods), tuple(self.paths))


class HealthKeys(Keys):
    """Probes that ask each server, from each worker, whether it is well. A server that is not is asked only where no
    other is; copies to one are dropped, and count as its failures."""

    path: kinds.PathPrefix
    """What is asked for by GET, such as /ping; an answer of 2xx is a good one."""
    interval: kinds.Deadline = written("5s")
    """The time between two probes."""
    timeout: kinds.Deadline = written("1s")
    """The time that a probe may take."""
    unhealthy_after: Annotated[int, Field(ge=1)] = 3
    """So many failed probes in a row, and the server is unwell."""
    healthy_after: Annotated[int, Field(ge=1)] = 2
    """So many good ones in a row, and it is well again."""

    def probe(self) -> HealthProbe:
        return HealthProbe(self.path, self.interval, self.timeout, self.unhealthy_after, self.healthy_after)
