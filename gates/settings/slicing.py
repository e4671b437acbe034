"""The configuration's keys for slices: the parts of the traffic that are looked at by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import Field, model_validator

from gates.settings import kinds
from gates.settings.kinds import Keys, contradiction
from proxy.redaction import ALWAYS
from proxy.snapshot import MOST_SLICE_VALUES, RecordPolicy, Slice


class SliceKeys(Keys):
    """What tells a slice's values apart: name one of header and json."""

    header: kinds.Header | None = None
    """A request header."""
    json_path: kinds.JsonPath | None = Field(None, alias="json")
    """A key in the JSON body, with a dot between levels, such as customer.country."""
    most: Annotated[int, Field(ge=1, le=MOST_SLICE_VALUES)] = 20
    """How many values are counted apart; all others are counted together, as other."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.header is None) == (self.json_path is None):
            raise contradiction("expected one of header and json")
        return self

    def slice(self, name: str) -> Slice:
        if self.header is not None:
            return Slice(name, "header", self.header.lower(), self.most)
        return Slice(name, "json", self.json_path or "", self.most)


def is_redacted(one: Slice, policy: RecordPolicy) -> bool:
    """Whether the slice's values would be told in status and metrics though they may not be kept."""
    if one.source == "header":
        return one.key in ALWAYS | set(policy.headers)
    return any(_leads_to(path.split("."), one.key.split(".")) for path in policy.fields)


def _leads_to(path: Sequence[str], key: Sequence[str]) -> bool:
    """Whether what `path` takes out holds what stands at `key`."""
    if not path:
        return True
    if path[0] == "**":
        return any(_leads_to(path[1:], key[at:]) for at in range(len(key) + 1))
    return bool(key) and path[0] in (key[0], "*") and _leads_to(path[1:], key[1:])
