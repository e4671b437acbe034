"""The whole state machine of a rollout, as one table. A pair that the table does not name raises and changes
nothing."""

from __future__ import annotations

from enum import StrEnum

from proxy.snapshot import Phase


class Event(StrEnum):
    """What can happen to a rollout."""

    START = "start"
    CLIMB = "climb"
    """The stage is passed, or a person says so: on to the next step of the ramp."""
    BAKE = "bake"
    """The last step is passed: all traffic is the candidate's, and the old champion is kept warm."""
    PROMOTE = "promote"
    HOLD = "hold"
    """The stage is passed, but the next one asks for a person's approval."""
    PAUSE = "pause"
    RESUME = "resume"
    ROLL_BACK = "roll_back"
    STEP_DOWN = "step_down"
    """A gate failed, and the plan asks for one step down before it gives up."""
    AMEND = "amend"
    """The configuration changed the plan, the gates or the budget of a rollout that is under way."""
    SET_SHARE = "set_share"
    """The configuration names the candidate's share by hand: it is in force at once, and the plan waits."""
    OVERDUE = "overdue"
    """The stage has not been passed by its deadline; people are told."""
    ADVISE = "advise"
    """In a dry run: what the controller would have done."""


class IllegalEvent(Exception):
    """The event is not one that the rollout's phase allows; nothing was changed."""

    def __init__(self, phase: Phase, event: Event) -> None:
        wish = next((wish for wish, means in WISHES.items() if means is event), event)
        super().__init__(f"{wish} is not possible in phase {phase}; possible: {', '.join(wishes_in(phase))}")
        self.event = event


# The phases whose candidate is alive: each of them can be rolled back, paused and awaiting approval included.
CARRYING = (Phase.SHADOW, Phase.RAMP, Phase.BAKE, Phase.PAUSED, Phase.AWAITING_APPROVAL)
# The phases in which the stage's clock runs and the gates may advance it.
CLIMBING = (Phase.SHADOW, Phase.RAMP, Phase.BAKE)
ENDED = (Phase.PROMOTED, Phase.ROLLED_BACK)
# What takes traffic from the candidate: it is in force before anything else, and needs no store.
RETREATS = (Event.ROLL_BACK, Event.STEP_DOWN)

# None as the next phase: back to the phase of the plan's position, which only the rollout knows.
TRANSITIONS: dict[tuple[Phase, Event], Phase | None] = {
    (Phase.IDLE, Event.START): Phase.SHADOW,
    (Phase.SHADOW, Event.CLIMB): Phase.RAMP,
    (Phase.SHADOW, Event.HOLD): Phase.AWAITING_APPROVAL,
    (Phase.RAMP, Event.CLIMB): Phase.RAMP,
    (Phase.RAMP, Event.HOLD): Phase.AWAITING_APPROVAL,
    (Phase.RAMP, Event.BAKE): Phase.BAKE,
    (Phase.RAMP, Event.STEP_DOWN): Phase.RAMP,
    (Phase.AWAITING_APPROVAL, Event.CLIMB): Phase.RAMP,
    (Phase.AWAITING_APPROVAL, Event.BAKE): Phase.BAKE,
    (Phase.PAUSED, Event.RESUME): None,
    **{(phase, Event.PAUSE): Phase.PAUSED for phase in CARRYING if phase is not Phase.PAUSED},
    **{(phase, Event.PROMOTE): Phase.PROMOTED for phase in CARRYING},
    **{(phase, Event.ROLL_BACK): Phase.ROLLED_BACK for phase in CARRYING},
    **{(phase, Event.AMEND): None for phase in CARRYING if phase is not Phase.PAUSED},
    (Phase.PAUSED, Event.AMEND): Phase.PAUSED,
    **{(phase, Event.SET_SHARE): Phase.PAUSED for phase in CARRYING},
    **{(phase, Event.OVERDUE): phase for phase in CLIMBING},
    **{(phase, Event.ADVISE): phase for phase in CARRYING},
}


# What people may ask of a rollout, as they call it.
WISHES = {
    "advance": Event.CLIMB,
    "pause": Event.PAUSE,
    "resume": Event.RESUME,
    "rollback": Event.ROLL_BACK,
    "promote": Event.PROMOTE,
}


def wishes_in(phase: Phase) -> tuple[str, ...]:
    """What people may ask for in this phase; a phase that carries no candidate can only start a rollout."""
    if phase not in CARRYING:
        return ("start",)
    return tuple(wish for wish, event in WISHES.items() if (phase, event) in TRANSITIONS)


def next_phase(phase: Phase, event: Event, here: Phase) -> Phase:
    """The phase that follows; `here` is the phase that the plan has at the rollout's position.

    Raises IllegalEvent."""
    if (phase, event) not in TRANSITIONS:
        raise IllegalEvent(phase, event)
    return TRANSITIONS[phase, event] or here
