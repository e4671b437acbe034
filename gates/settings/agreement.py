"""The configuration's keys for agreement: where predictions are, when two are the same, what finding out may cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from gates.settings import kinds
from gates.settings.kinds import Keys, contradiction, written
from proxy.snapshot import MOST_ON_RECORD, AgreementSpec, Format, Kind, Precision, RecordPolicy


class ToleranceKeys(Keys):
    """Two numbers agree when they differ by no more than absolute + relative x the champion's."""

    relative: Annotated[float, Field(ge=0)] = 0.01
    """A part of the champion's number: 0.01 is one hundredth of it."""
    absolute: Annotated[float, Field(ge=0)] = 0.001
    """In the predictions' own unit."""
    precision: Precision = "float64"
    """What the models compute in: numbers that it cannot tell apart agree. V2 answers declare their own."""


class RedactionKeys(Keys):
    """What is taken out of a request and of both answers before they are kept: the fields, and their values wherever
    else they stand. Credentials in headers, such as authorization and cookie, are taken out whatever stands here."""

    fields: list[kinds.JsonPath] = written([])
    """Keys with a dot between levels; * is any key, ** any number of levels, and lists are gone through. The columns of
    dataframe_split and the tensors of V2 go by their names. While any is named, what is no JSON is not kept."""
    headers: list[kinds.Header] = written([])
    """Request headers."""


class DisagreementKeys(Keys):
    """Pairs of answers that differ are kept to be looked at: of each finding the worst, and a fair sample of all."""

    record: bool = True
    """Whether any are kept. false keeps nothing of any request or answer."""
    keep: Annotated[int, Field(ge=1, le=100)] = 5
    """How many of the worst, and how many of the sample, for each finding of a rollout."""
    max_bytes: Annotated[kinds.Size, Field(le=MOST_ON_RECORD)] = written("16KiB")
    """What is kept of a request and of each answer, 64KiB at most; the rest is cut off."""
    retention: kinds.Duration = written("30d")
    """How long they are kept."""
    redact: RedactionKeys = written({})
    """What is not kept."""

    def policy(self) -> RecordPolicy:
        headers = tuple(name.lower() for name in self.redact.headers)
        return RecordPolicy(self.keep if self.record else 0, self.max_bytes, tuple(self.redact.fields), headers)


class AgreementKeys(Keys):
    """When two answers count as the same prediction."""

    kind: Kind = "auto"
    """What is predicted. auto goes by the answers: whole numbers and texts are labels, other numbers are measured."""
    format: Format = "auto"
    """How the answers are written. auto goes by the path of the request and the shape of the answer."""
    path: kinds.JsonPath | None = None
    """Where the predictions stand in a plain JSON answer, with format json: keys with a dot between levels."""
    ignore: list[kinds.JsonPath] = written([])
    """What is left out of each prediction: keys with a dot between levels; * is any key, and lists are gone through."""
    tolerance: ToleranceKeys = written({})
    """How far apart two numbers may be."""
    classes: list[kinds.Title] = written([])
    """With kind label: the labels of a vector of probabilities, in its order; the most probable one is compared."""
    threshold: kinds.Threshold = 0.5
    """With kind probability: two probabilities on two sides of it are two decisions. A name is that of one of the
    policy's thresholds, and moves with it."""
    top_k: Annotated[int, Field(ge=1)] = 10
    """How many places of a ranking, or neighbours of an embedding within its batch, are compared."""
    min_overlap: Annotated[float, Field(ge=0, le=1)] = 0.8
    """The least part that rankings, neighbours or the words of texts have in common, from 0 to 1."""
    min_correlation: Annotated[float, Field(ge=-1, le=1)] = 0.8
    """The least rank correlation (Spearman) of the items that two rankings have in common."""
    max_body: kinds.Size = written("1MiB")
    """Longer answers are not compared; of encoded ones, such as gzip, also what they hold."""
    cpu_percent: kinds.BasisPoints = written(20)
    """The most of each worker's time that goes into comparing; pairs beyond it are counted, and not compared."""
    noise_probe_percent: kinds.BasisPoints = written(0)
    """The percentage of requests that the champion gets a second time, to see how often it differs from itself."""
    disagreements: DisagreementKeys = written({})
    """What is kept of pairs that differ."""

    @field_validator("path")
    @classmethod
    def _in_json(cls, path: str | None, info: ValidationInfo) -> str | None:
        if path is not None and info.data.get("format", "json") != "json":
            raise contradiction("expected format: json beside it, as other formats say where predictions stand")
        return path

    @field_validator("classes")
    @classmethod
    def _of_labels(cls, classes: list[str], info: ValidationInfo) -> list[str]:
        if classes and info.data.get("kind", "label") != "label":
            raise contradiction("expected kind: label beside them")
        if len(set(classes)) < len(classes):
            raise contradiction("expected each class once")
        return classes

    def spec(self, thresholds: Mapping[str, float]) -> AgreementSpec:
        """`thresholds` are the policy's."""
        return AgreementSpec(
            relative=self.tolerance.relative,
            absolute=self.tolerance.absolute,
            max_body=self.max_body,
            kind=self.kind,
            format=self.format,
            path=self.path or "",
            ignore=tuple(self.ignore),
            precision=self.tolerance.precision,
            classes=tuple(self.classes),
            threshold=self.threshold if isinstance(self.threshold, float) else thresholds[self.threshold],
            top_k=self.top_k,
            min_overlap=self.min_overlap,
            min_correlation=self.min_correlation,
            cpu_bp=self.cpu_percent,
            noise_bp=self.noise_probe_percent,
        )
