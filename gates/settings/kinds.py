"""What the configuration is made of: mappings of known keys, and kinds of values, each with its JSON Schema."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from gates.settings import notation
from proxy.snapshot import Origin

_STORE = r"^(sqlite:///|postgresql\+psycopg://).+$"
_URL = r"^https?://[^\s/?#]+(/[^\s#]*)?$"
_MLFLOW = r"^([a-z][a-z0-9+.:-]*://\S+|databricks(-uc)?)$"


class Keys(BaseModel):
    """A mapping of known keys; the docstring below each one is its description."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, use_attribute_docstrings=True)


def written(default: object) -> Any:
    """A default, as an operator would write it."""
    return Field(default, validate_default=True)


def contradiction(message: str, *at: str | int) -> PydanticCustomError:
    """Values that do not go together, told at the key `at` below the one that is being validated."""
    return PydanticCustomError("contradiction", "{said}", {"said": message, "at": at})


def _store(value: object) -> str:
    """A database that the store can open. The message never repeats the value, which may hold a password."""
    try:
        url = make_url(value) if isinstance(value, str) else None
    except (ArgumentError, ValueError):
        url = None
    if url is None or url.drivername not in ("sqlite", "postgresql+psycopg") or not url.database:
        raise ValueError("expected sqlite:///file.db or postgresql+psycopg://user@host/database")
    return str(value)


def _mlflow(value: object) -> str:
    """An MLflow server or store. The message never repeats the value, which may hold a password."""
    if not (isinstance(value, str) and re.fullmatch(_MLFLOW, value)):
        raise ValueError("expected an MLflow address, such as sqlite:///mlflow.db or http://127.0.0.1:5000")
    return value


def _url(value: object) -> str:
    """The base URL of a server. The message never repeats the value, which may hold a password."""
    if not (isinstance(value, str) and re.fullmatch(_URL, value)):
        raise ValueError("expected http://host:port, or https://")
    return value.rstrip("/")


def _text(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern})


def _text_or(number: str, pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": ["string", number], "pattern": pattern, "minimum": 0})


_PERCENT = WithJsonSchema({"type": "number", "minimum": 0, "maximum": 100})
_DURATION = _text_or("number", notation.DURATION)

Duration = Annotated[float, PlainValidator(notation.duration), _DURATION]
Deadline = Annotated[float, PlainValidator(notation.duration), AfterValidator(notation.above_zero), _DURATION]
LatencyLimit = Annotated[float, PlainValidator(notation.latency), _text(notation.DURATION)]
Count = Annotated[int, Field(ge=0)]
Size = Annotated[int, PlainValidator(notation.size), _text_or("integer", notation.SIZE)]

BasisPoints = Annotated[int, PlainValidator(notation.basis_points), _PERCENT]
Share = Annotated[float, PlainValidator(notation.share), _text(notation.SHARE)]
LargestShare = Annotated[float, PlainValidator(notation.largest_share), _text(notation.SHARE)]
SmallestShare = Annotated[float, PlainValidator(notation.smallest_share), _text(notation.SHARE)]
Part = Annotated[float, PlainValidator(notation.part), _text(notation.SHARE)]
Margin = Annotated[float, PlainValidator(notation.margin), _text(notation.SHARE)]
Threshold = Annotated[
    float | str,
    PlainValidator(notation.threshold),
    WithJsonSchema(
        {"type": ["number", "string"], "pattern": notation.NAME, "exclusiveMinimum": 0, "exclusiveMaximum": 1}
    ),
]
Quantile = Annotated[float, PlainValidator(notation.quantile), _text(notation.QUANTILE)]

ListenAddress = Annotated[notation.Address, PlainValidator(notation.address), _text(notation.ADDRESS)]
Server = Annotated[Origin, PlainValidator(notation.origin), _text(notation.ORIGIN)]
StoreUrl = Annotated[str, PlainValidator(_store), _text(_STORE)]
MlflowUri = Annotated[str, PlainValidator(_mlflow), _text(_MLFLOW)]
HostName = Annotated[str, PlainValidator(notation.host), _text(notation.HOST)]
Url = Annotated[str, PlainValidator(_url), _text(_URL)]
Network = Annotated[str, PlainValidator(notation.network), _text(notation.NETWORK)]
PathPrefix = Annotated[str, PlainValidator(notation.path_prefix), _text(notation.PATH_PREFIX)]
Method = Annotated[str, PlainValidator(notation.method), _text(notation.METHOD)]
PathEnd = Annotated[str, PlainValidator(notation.path_end), _text(notation.PATH_END)]
File = Annotated[str, PlainValidator(notation.file), _text(notation.FILE)]

Name = Annotated[str, PlainValidator(notation.name), _text(notation.NAME)]
Version = Annotated[str, PlainValidator(notation.version), _text(notation.NAME)]
Reference = Annotated[str, PlainValidator(notation.reference), _text_or("integer", notation.REFERENCE)]
Title = Annotated[str, PlainValidator(notation.title), _text(notation.TITLE)]
Header = Annotated[str, PlainValidator(notation.header), _text(notation.TOKEN)]
HeaderValue = Annotated[str, PlainValidator(notation.header_value), _text_or("integer", notation.VALUE)]
Cookie = Annotated[str, PlainValidator(notation.cookie), _text(notation.TOKEN)]
JsonPath = Annotated[str, PlainValidator(notation.json_path), _text(notation.JSON_PATH)]
