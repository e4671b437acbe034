"""A control plane that dies by SIGKILL at one commit, named by PENSTOCK_DIES: `before:5`, before the fifth is stored;
`after:5`, as soon as it is; `applied:5`, once workers may have it."""

from __future__ import annotations

import os
import signal

from gates import app
from gates.adapters.store import SqlStore
from gates.cli import main
from gates.controller import controller, steering
from gates.controller.publication import Publication
from gates.ports import Commit
from proxy.snapshot import Snapshot

POINT, _, NUMBER = os.environ.get("PENSTOCK_DIES", "never:0").partition(":")


def die_at(point: str, generation: int) -> None:
    if (point, generation) == (POINT, int(NUMBER)):
        os.kill(os.getpid(), signal.SIGKILL)


class DyingStore(SqlStore):
    def commit(self, commit: Commit) -> None:
        die_at("before", commit.snapshot.generation)
        super().commit(commit)
        die_at("after", commit.snapshot.generation)


class DyingPublication(Publication):
    def publish(self, snapshot: Snapshot) -> None:
        super().publish(snapshot)
        die_at("applied", snapshot.generation)


if __name__ == "__main__":
    app.SqlStore = DyingStore  # type: ignore[misc]
    controller.LEASE_SECONDS, controller.LEASE_EVERY = 0.3, 0.1  # nobody else is there to wait for
    steering.Publication = DyingPublication  # type: ignore[misc]
    main()
