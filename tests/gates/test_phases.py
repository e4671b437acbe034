from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

from gates.phases import CARRYING, CLIMBING, ENDED, TRANSITIONS, WISHES, Event, IllegalEvent, next_phase, wishes_in
from proxy.snapshot import Phase

# Where another plan may leave a rollout; a share is never raised by it, and a bake stays one.
AMENDED = {
    Phase.SHADOW: [Phase.SHADOW],
    Phase.RAMP: [Phase.SHADOW, Phase.RAMP],
    Phase.BAKE: [Phase.BAKE],
    Phase.AWAITING_APPROVAL: [Phase.SHADOW, Phase.RAMP],
}


@pytest.mark.parametrize(("phase", "event"), list(product(Phase, Event)))
def test_every_pair_leads_on_or_is_refused(phase: Phase, event: Event) -> None:
    if (phase, event) in TRANSITIONS:
        assert next_phase(phase, event, Phase.RAMP) in Phase
        return
    wish = {means: wish for wish, means in WISHES.items()}.get(event, event)
    told = f"{wish} is not possible in phase {phase}; possible: {', '.join(wishes_in(phase))}"
    with pytest.raises(IllegalEvent, match=f"^{told}$"):
        next_phase(phase, event, Phase.RAMP)


def test_each_phase_is_of_one_kind() -> None:
    assert sorted((Phase.IDLE, *CARRYING, *ENDED)) == sorted(Phase)
    assert set(CLIMBING) < set(CARRYING)


def test_rollback_pause_and_promotion_are_possible_wherever_the_candidate_is_alive() -> None:
    for event in (Event.ROLL_BACK, Event.PROMOTE):
        assert {phase for phase, possible in TRANSITIONS if possible is event} == set(CARRYING)
    assert {phase for phase, possible in TRANSITIONS if possible is Event.PAUSE} == set(CARRYING) - {Phase.PAUSED}


def test_what_has_ended_does_not_begin_again() -> None:
    assert not [phase for phase, _ in TRANSITIONS if phase in ENDED]


def test_every_phase_can_be_reached() -> None:
    reached = {Phase.IDLE}
    for _ in Phase:
        reached |= {next_phase(at, event, Phase.SHADOW) for at, event in TRANSITIONS if at in reached}
    assert reached == set(Phase)


@pytest.mark.parametrize("here", CLIMBING)
def test_resuming_leads_back_to_where_the_rollout_was(here: Phase) -> None:
    assert next_phase(Phase.PAUSED, Event.RESUME, here) is here


def test_the_diagram_in_the_docs_is_the_table() -> None:
    text = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text()
    (diagram,) = re.findall(r"```mermaid\nstateDiagram-v2\n(.*?)```", text, re.DOTALL)
    drawn = re.findall(r"^    (\w+) --> (\w+): (\w+)$", diagram, re.MULTILINE)
    resumed = {(Phase.PAUSED, here, Event.RESUME) for here in CLIMBING}
    amended = {(at, after, Event.AMEND) for at, lead in AMENDED.items() for after in lead}
    table = {(at, after, event) for (at, event), after in TRANSITIONS.items() if after is not None}
    assert sorted(drawn) == sorted(table | resumed | amended)
    assert len(drawn) == len(diagram.strip().splitlines())


def test_a_step_down_is_possible_on_the_ramp_alone() -> None:
    assert [phase for phase, event in TRANSITIONS if event is Event.STEP_DOWN] == [Phase.RAMP]
