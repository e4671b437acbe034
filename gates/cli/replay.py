"""`penstock replay`: a rollout's decisions made again from the record, and what other gates would have decided."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gates.cli.asking import print_json
from gates.cli.audit import Store, counted, pages, reading
from gates.cli.options import CONFIG, Config, Json
from gates.exits import Exit, Failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gates.adapters.store import SqlStore
    from gates.controller.replay import Instead, Replayed
    from gates.gate import Gate
    from gates.state import AuditRow


def register(app: typer.Typer) -> None:
    app.command()(replay)


def replay(
    rollout: Annotated[str, typer.Argument(metavar="ROLLOUT", help="Its id or how that begins, or a model: its last.")],
    gates: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Other gates: what would they have decided, and when?")
    ] = None,
    json: Json = False,
    config: Config = CONFIG,
    store: Store = None,
) -> None:
    """Make each decision of a rollout again, from its record.

    Inputs stand beside every decision, so each must come out as it was made; one that does not is named, and the exit
    status is 6. It reads the store itself, and changes nothing.

    \b
      penstock replay fraud_detector --gates config/gates/default.yaml     (or default, which comes with Penstock)
    """
    from gates.controller import replay as replaying

    others = None if gates is None else _gates(gates)
    with reading(config, store) as opened:
        rows = _rows(opened, rollout)
    replayed = list(replaying.replay(rows))
    instead = [] if others is None else list(replaying.under(others, replayed))
    if json:
        print_json(_values(replayed, instead))
    else:
        for each in replayed:
            print(_line(each))
    wrong = sum(bool(each.differences) for each in replayed)
    if wrong:
        raise Failure(f"{wrong} of {len(replayed)} decisions are not what their inputs lead to", Exit.BROKEN)
    if not json:
        print(f"{len(replayed)} decisions, each as it was made")
        if others is not None:
            _tell(gates, instead)


def _gates(file: Path) -> Sequence[Gate]:
    from gates import settings
    from gates.shipped import gate_file

    try:
        return settings.load_gates(gate_file(file))
    except settings.SettingsError as error:
        raise Failure(str(error), Exit.CONFIGURATION) from None


def _rows(store: SqlStore, wanted: str) -> list[AuditRow]:
    """The audit rows of one rollout, oldest first. Raises Failure where there is none, or more than one, or where the
    trail does not hold."""
    from gates.audit import GENESIS, Broken, Chain

    chain, head, rows = Chain(), GENESIS, []
    try:
        for links, head in counted(pages(store), "the record"):  # noqa: B007 - the last one's counts
            chain.follow(links)
            rows += [link.row for link in links if link.row.rollout]
        chain.end(head)
    except Broken as broken:
        raise Failure(f"the audit trail does not hold: {broken}", Exit.BROKEN) from None
    last_of = {row.model: row.rollout for row in rows}
    found = [row for row in rows if row.rollout.startswith(last_of.get(wanted, wanted))]
    names = {row.rollout: row for row in found}
    if not names:
        known = ", ".join(sorted(last_of)) or "none"
        raise Failure(f"no rollout on record is {wanted!r}, nor is it a model that had one; had: {known}", Exit.REFUSED)
    if len(names) > 1:
        raise Failure(f"{wanted!r} begins several rollouts: {', '.join(names)}", Exit.REFUSED)
    return found


def _line(each: Replayed) -> str:
    row = each.row
    told = f"{_when(row)}  generation {row.generation}  {row.event} -> {row.phase}, by {row.by}: {row.reason}"
    return "\n".join([told, *(f"    NOT AS IT WAS: {difference}" for difference in each.differences)])


def _values(replayed: Sequence[Replayed], instead: Sequence[Instead]) -> dict[str, object]:
    """What is printed as JSON: each decision with what is not as it was, and what other gates would have decided."""
    return {
        "decisions": [{"row": each.row, "differences": each.differences} for each in replayed],
        "under_other_gates": [
            {"generation": each.row.generation, "same": each.same, "event": each.event, "reason": each.reason}
            for each in instead
        ],
    }


def _tell(file: Path | None, judged: list[Instead]) -> None:
    if not judged:
        print(f"by the gates of {file}: nothing to judge, the candidate never carried traffic")
    elif judged[-1].same:
        print(f"by the gates of {file}: the same decisions")
    else:
        last = judged[-1]
        plan, position = last.inputs.rollout.terms.plan, last.inputs.rollout.position
        stage = f"{plan.phase_at(position)} at {plan.stages[position].share_bp / 100:g} %"
        acted = f"{last.event} at the latest" if last.event else "no decision yet"
        print(
            f"by the gates of {file}: the same until {_when(last.row)}, in {stage} after "
            f"{last.inputs.observation.elapsed:.0f} s and {last.inputs.observation.requests} requests: then {acted}, "
            f"in place of {last.row.event}: {last.reason}"
        )
    print("The counts are on record at each decision, and not between two of them: gates may have acted sooner.")


def _when(row: AuditRow) -> str:
    return f"{datetime.fromtimestamp(row.at, UTC):%Y-%m-%d %H:%M:%SZ}"
