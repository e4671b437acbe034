"""The keys of what is done about a gate that fails."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from gates.promotion.remedies import Remedy, Webhook
from gates.settings import kinds
from gates.settings.kinds import Keys, contradiction, written


class WebhookKeys(Keys):
    """A POST of JSON: the body, with the gate's `reason` added."""

    url: kinds.Url
    """Where to, http://host:port/path. It is never printed whole, as it may hold a secret."""
    body: dict[kinds.Title, str | bool | int | float] = written({})
    """What is sent."""


class RemedyKeys(Keys):
    """What is done when the gate, a critical one, fails, where --remedy asks for it."""

    rollback: bool = False
    """Whether the model's rollout is rolled back."""
    webhook: WebhookKeys | None = None
    """Whom to call, such as a service that can go down to a cheaper mode."""

    @model_validator(mode="after")
    def _doing(self) -> Self:
        if not self.rollback and self.webhook is None:
            raise contradiction("does nothing: name rollback: true or a webhook")
        return self

    def remedy(self, gate: str) -> Remedy:
        webhook = None if self.webhook is None else Webhook(self.webhook.url, dict(self.webhook.body))
        return Remedy(gate, self.rollback, webhook)
