from __future__ import annotations

from itertools import product

import pytest

from gates.phases import CARRYING, CLIMBING, ENDED, TRANSITIONS, Event, IllegalEvent, next_phase
from proxy.snapshot import Phase


@pytest.mark.parametrize(("phase", "event"), list(product(Phase, Event)))
def test_every_pair_leads_on_or_is_refused(phase: Phase, event: Event) -> None:
    if (phase, event) in TRANSITIONS:
        assert next_phase(phase, event, Phase.RAMP) in Phase
        return
    with pytest.raises(IllegalEvent, match=f"{event} is not possible in phase {phase}") as refused:
        next_phase(phase, event, Phase.RAMP)
    for possible in (other for at, other in TRANSITIONS if at is phase):
        assert possible in str(refused.value)


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
