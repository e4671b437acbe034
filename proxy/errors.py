"""Every exception of the data plane, each with the status that a client sees for it."""

from __future__ import annotations

from typing import ClassVar


class PenstockError(Exception):
    """Root of all that the data plane raises on purpose."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    request_id: str = ""
    """Of the request that met it, for the log; where that is known."""

    @property
    def told(self) -> str:
        """What a client may read of it."""
        return str(self)


class RequestRefused(PenstockError):
    """The client's request cannot be forwarded safely; it never reaches an upstream."""

    status = 400
    code = "bad_request"


class UnknownModel(RequestRefused):
    """No model of the snapshot matches the request."""

    status = 404
    code = "unknown_model"


class BodyTooLarge(RequestRefused):
    """The request's body is over the configured limit."""

    status = 413
    code = "body_too_large"


class HeadTooLarge(RequestRefused):
    """The request's header or trailer is over the limit of bytes."""

    status = 431
    code = "head_too_large"


class TargetTooLong(RequestRefused):
    """The request's target is over the limit of bytes."""

    status = 414
    code = "target_too_long"


class RequestLate(RequestRefused):
    """The request was not whole by its deadline."""

    status = 408
    code = "request_late"


class ClientGone(PenstockError):
    """The client closed its connection before the answer was complete; nobody is there to read a status."""

    status = 499
    code = "client_gone"


class AnswerCut(PenstockError):
    """An answer broke off after its head had gone out: the client's connection must be aborted, so that it never
    looks whole."""

    status = 502
    code = "answer_cut"


class NoSnapshot(PenstockError):
    """The worker has no routing truth yet: neither the control plane nor the disk cache gave it one."""

    status = 503
    code = "no_snapshot"


class UpstreamFailed(PenstockError):
    """An upstream gave no usable answer. `code` is also the error label in windows and metrics.

    What it says may have addresses and files in it, which are for the log alone; clients read its `meaning`."""

    status = 502
    code = "upstream_failed"
    meaning: ClassVar[str] = "the model's server gave no usable answer"

    @property
    def told(self) -> str:
        return self.meaning


class UpstreamRefused(UpstreamFailed):
    """No connection to the upstream could be opened."""

    code = "connect"
    meaning = "no connection to the model's server"


class UpstreamUntrusted(UpstreamRefused):
    """The upstream did not prove who it is, or our own proof could not be read; it has seen nothing of the request."""

    code = "tls"
    meaning = "no trusted connection to the model's server"


class UpstreamClosed(UpstreamFailed):
    """The upstream closed or reset the connection before its answer was complete."""

    code = "closed"
    meaning = "the model's server broke off before its answer was complete"


class UpstreamMalformed(UpstreamFailed):
    """The upstream's bytes are not a lawful HTTP/1.1 response, or exceed a limit."""

    code = "malformed"
    meaning = "the model's server gave no lawful answer"


class UpstreamTimeout(UpstreamFailed):
    """The exchange's one total deadline passed."""

    status = 504
    code = "timeout"
    meaning = "the model's server did not answer in time"


class UpstreamBusy(UpstreamFailed):
    """The pool's connection limit is reached; the exchange was not tried."""

    status = 503
    code = "busy"
    meaning = "too many requests are under way; come again"
