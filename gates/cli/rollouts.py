"""The commands that ask a running control plane: status, events, and what people decide about a rollout."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from gates.cli.asking import asking, client_of, print_json
from gates.cli.options import CONTROL, By, Control, Json, Model, ModelOrAll, Reason
from gates.exits import Exit, Failure, unknown

if TYPE_CHECKING:
    from gates.client import ControlClient
    from gates.status import ControlStatus, ModelStatus


def register(app: typer.Typer) -> None:
    for command in (status, start, advance, pause, resume, rollback, promote, approve, events):
        app.command()(asking(command))


def status(
    model: ModelOrAll = None,
    watch: Annotated[bool, typer.Option("--watch", help="Go on showing it, until Ctrl-C.")] = False,
    json: Json = False,
    control: Control = CONTROL,
) -> None:
    """Show how far each rollout is, and what its gates say.

    Also who serves which share, how fast and how well, what the stage still needs, and which workers are alive.

    \b
      penstock status
      penstock status fraud_detector --watch
    """
    from gates.cli import watching

    with client_of(control, timeout=watching.TIMEOUT_SECONDS if watch else None) as client:
        look = partial(_look, client, model)
        if watch:
            watching.watch(look, as_json=json)
        elif json:
            print_json(look())
        else:
            watching.show(look())


def start(
    model: Model,
    by: By,
    candidate: Annotated[str, typer.Option(metavar="VERSION", help="A version that the configuration serves.")],
    reason: Reason = "",
    override: Annotated[bool, typer.Option("--override", help="Whatever speaks against it, by the above.")] = False,
    json: Json = False,
    control: Control = CONTROL,
) -> None:
    """Start a rollout, with copies of the traffic first.

    In shadow the candidate's answers are compared with the champion's, and reach nobody. A candidate that was rolled
    back is not tried again before the plan's cool-down is over. None begins whose offline or staging gates are NO-GO,
    nor one that offline gates cannot judge, as the registry does not answer. --override passes over all three, over
    gates and registry with a --reason alone, and the record keeps it.

    \b
      penstock start fraud_detector --candidate 42
    """
    with client_of(control) as client:
        _tell(client.start(model, candidate, by, reason, override), json)


def advance(
    model: Model,
    by: By,
    reason: Reason = "",
    approval: Annotated[
        bool, typer.Option("--approval", help="Approve, where that is waited for, and do nothing else.")
    ] = False,
    json: Json = False,
    control: Control = CONTROL,
) -> None:
    """Go on to the next stage now; also: approve it.

    Whatever the present stage still needs is passed over, and the record says by whom. With --approval, whoever
    approves second, or once more, skips no stage.

    \b
      penstock advance fraud_detector --reason "seen enough"
      penstock advance fraud_detector --approval --reason "reviewed with the risk team"
    """
    with client_of(control) as client:
        rollout = client.model(model).rollout
        epoch = None if rollout is None else rollout.epoch
        _tell(client.advance(model, by, reason, epoch, approval), json)


def pause(model: Model, by: By, reason: Reason = "", json: Json = False, control: Control = CONTROL) -> None:
    """Hold the rollout where it is.

    The gates go on watching, and can still roll it back.

    \b
      penstock pause fraud_detector --reason "deploy freeze"
    """
    _ask(model, "pause", by, reason, json, control)


def resume(model: Model, by: By, reason: Reason = "", json: Json = False, control: Control = CONTROL) -> None:
    """Let a paused rollout go on.

    \b
      penstock resume fraud_detector
    """
    _ask(model, "resume", by, reason, json, control)


def rollback(
    model: Model,
    by: By,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for the record.")],
    json: Json = False,
    to: Annotated[
        str | None,
        typer.Option(metavar="VERSION", show_default="the champion stays", help="previous, fallback or a version."),
    ] = None,
    control: Control = CONTROL,
) -> None:
    """Give all traffic back to the champion, and end the rollout.

    With --to, another version serves from now on, whatever is under way: the one before the champion (previous), the
    one before that (fallback), or any that has servers; one that has not served before takes the right to promote.

    \b
      penstock rollback fraud_detector --reason "support reports odd scores"
      penstock rollback fraud_detector --to previous --reason "wrong since last week"
    """
    if to is None:
        _ask(model, "rollback", by, reason, json, control)
        return
    with client_of(control) as client:
        _tell(client.revert(model, to, by, reason), json)


def approve(
    model: Model,
    by: By,
    candidate: Annotated[str, typer.Option(metavar="VERSION", help="The version that was reviewed, or an alias.")],
    review: Annotated[
        str, typer.Option(metavar="SIDE", help="From which side: data-science, devops, business or security.")
    ],
    note: Annotated[str, typer.Option(metavar="TEXT", help="What there is to say.")] = "",
    json: Json = False,
    control: Control = CONTROL,
) -> None:
    """Put your review of a version on record.

    The gate `approvals` asks for it: see penstock gate production.

    \b
      penstock approve fraud_detector --candidate 42 --review business --note "meets the Q4 goals"
    """
    with client_of(control) as client:
        facts = client.approve(model, candidate, review, by, note)
    if json:
        print_json(facts.approvals)
        return
    for given in facts.approvals:
        print(f"{model} {candidate}: {given.review} review by {given.by}" + (f": {given.note}" if given.note else ""))


def promote(
    model: Model,
    by: By,
    reason: Reason = "",
    override: Annotated[
        bool, typer.Option("--override", help="Whatever the production gates say; needs a reason, which is recorded.")
    ] = False,
    json: Json = False,
    control: Control = CONTROL,
) -> None:
    """Make the candidate the champion now.

    Whatever the plan still asks for is passed over, and the record says by whom. Production gates that are a NO-GO
    hold it back, unless --override says otherwise.

    \b
      penstock promote fraud_detector --reason "hotfix, tested by hand" --override
    """
    with client_of(control) as client:
        _tell(client.promote(model, by, reason, override), json)


def events(model: Model, json: Json = False, control: Control = CONTROL) -> None:
    """List what happened to a model, by whom and why.

    The newest comes first.

    \b
      penstock events fraud_detector
    """
    from rich.console import Console

    from gates import decisions

    with client_of(control) as client:
        rows = client.events(model)
    if json:
        print_json(rows)
    else:
        Console().print(decisions.events_view(rows))


def _look(client: ControlClient, model: str | None) -> ControlStatus:
    """Everything, or one model and the workers."""
    seen = client.status()
    if model is None:
        return seen
    chosen = tuple(one for one in seen.models if one.model == model)
    unresolved = tuple(one for one in seen.unresolved if one.model == model)
    if not chosen and not unresolved:
        known = {one.model for one in seen.models} | {one.model for one in seen.unresolved}
        raise Failure(unknown("model", model, sorted(known)), Exit.REFUSED)
    return replace(seen, models=chosen, unresolved=unresolved)


def _ask(model: str, wish: str, by: str, reason: str, json: bool, control: str) -> None:
    with client_of(control) as client:
        _tell(client.ask(model, wish, by, reason), json)


def _tell(status: ModelStatus, json: bool) -> None:
    """How the model stands from now on."""
    served = f", candidate {status.candidate} serves {status.percent:g} %" if status.candidate else ""
    if json:
        print_json(status)
    else:
        print(f"{status.model}: {status.phase.replace('_', ' ')}; champion {status.champion}{served}")
