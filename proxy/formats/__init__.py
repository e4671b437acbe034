"""Find the predictions in the body of an answer: MLflow, KServe V1, TensorFlow Serving, V2, OpenAI, plain JSON.

A format is recognised by the path of the request and the shape of the answer, or named in the configuration."""

from __future__ import annotations

from proxy.formats import openai, tensors
from proxy.formats.answer import Answer
from proxy.formats.encodings import decoded
from proxy.formats.events import from_events
from proxy.formats.ignored import without
from proxy.formats.reading import AnsweredError, Predictions, Unfit, Unreadable, parse, tells_of_error
from proxy.formats.rows import ROWS_FORMATS, ROWS_MARK, decode_rows, in_columns, in_rows, unwrapped
from proxy.snapshot import AgreementSpec, Format

__all__ = ["Answer", "AnsweredError", "Predictions", "Unfit", "Unreadable", "predictions"]

_INFERENCE_HEADER = b"inference-header-content-length"


def predictions(answer: Answer, spec: AgreementSpec, path: bytes = b"") -> Predictions:
    """The predictions of a successful answer to a request to `path`.

    Raises Unreadable for a body that has none, AnsweredError for one that tells of an error, Unfit for one that is
    not for us to read."""
    try:
        return _as_compared(_in_answer(answer, spec, path), spec)
    except RecursionError:
        raise Unfit("too_deep") from None


def _as_compared(found: Predictions, spec: AgreementSpec) -> Predictions:
    """Without what is to be ignored, and each row then unwrapped from its single column: its name is a field where
    fields are compared (`json`), and elsewhere says nothing."""
    rows = without(found.rows, spec.ignore) if spec.ignore else found.rows
    if isinstance(rows, list) and not found.meaning and spec.kind != "json":
        rows = unwrapped(rows)
    return found if rows is found.rows else Predictions(rows, found.batch, found.meaning, found.resolution)


def _in_answer(answer: Answer, spec: AgreementSpec, path: bytes) -> Predictions:
    body = answer.body
    if body is None:
        raise Unfit("body_too_large")
    if body.startswith(ROWS_MARK) and spec.format in ROWS_FORMATS:
        found = _rows_at_once(body)
        if found is not None:
            return found
    fields = dict(answer.fields)
    if b"content-encoding" in fields:
        body = decoded(body, fields[b"content-encoding"].decode("latin-1").lower(), spec.max_body)
    if _INFERENCE_HEADER in fields:
        return tensors.in_binary(body, fields[_INFERENCE_HEADER])
    content_type = fields.get(b"content-type", b"").lower()
    if b"json" in content_type or not content_type:
        return _in_document(parse(body), spec, path)
    if content_type.startswith(b"text/event-stream"):
        return from_events(body)
    if spec.kind == "text" and content_type.startswith(b"text/"):
        return Predictions((body.decode(errors="replace"),), meaning="text")
    raise Unreadable("not_json")


def _rows_at_once(body: bytes) -> Predictions | None:
    """What most answers are, without a look at their fields: nothing that begins so is anything else, compressed or
    not. None for what is no JSON after all, or has numbers that JSON does not know."""
    try:
        return in_rows(decode_rows(body).predictions)
    except (ValueError, RecursionError):
        return None


def _in_document(document: object, spec: AgreementSpec, path: bytes) -> Predictions:
    if isinstance(document, dict):
        found = _found(document, spec.format, path)
        if found is not None:
            return found
        if tells_of_error(document):
            raise AnsweredError("error_in_200")
    if spec.format in ("kserve_v1", "tf_serving", "v2", "openai"):
        raise Unreadable("no_predictions")
    for step in spec.path.split(".") if spec.path else ():
        document = document.get(step, _Missing) if isinstance(document, dict) else _Missing
        if document is _Missing:
            raise Unreadable("no_predictions")
    return Predictions(document if isinstance(document, list) else (document,))


class _Missing:
    """What a configured path leads to where it leads nowhere."""


def _found(document: dict[str, object], format: Format, path: bytes) -> Predictions | None:
    """The predictions of the formats that have a mark of their own. Raises Unreadable."""
    if format == "json":
        return None
    if "predictions" in document and format not in ("v2", "openai"):
        return in_rows(document["predictions"])
    outputs = document.get("outputs")
    if format == "v2" or (format == "auto" and tensors.is_tensors(outputs)):
        return tensors.in_tensors(outputs) if outputs is not None else None
    if outputs is not None and (format == "tf_serving" or (format == "auto" and b":predict" in path)):
        return in_columns(outputs)
    return openai.from_document(document) if format in ("auto", "openai", "mlflow") else None
