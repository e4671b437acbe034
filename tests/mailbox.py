"""A mail server that keeps what was sent to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller

from tests.ports import claimed_port
from tests.wire import PATIENCE


@dataclass
class Mailbox:
    """Open from entry to exit; `url` is that of a channel to it."""

    mails: list[EmailMessage] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._port = claimed_port()
        self._server = Controller(self, hostname="127.0.0.1", port=self._port, ready_timeout=PATIENCE)

    @property
    def url(self) -> str:
        return f"mailto://127.0.0.1:{self._port}/?from=penstock@models.example&to=oncall@models.example"

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.stop()


def text_of(mail: EmailMessage) -> str:
    """Its text, which is all that is in it: no client takes it for markup."""
    assert mail.get_content_type() == "text/plain"
    return str(mail.get_content()).replace("\r\n", "\n")
