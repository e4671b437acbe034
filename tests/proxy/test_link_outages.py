"""A whole worker and its control plane over HTTP: what arrives through outages, and when the worker stops."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from proxy import app
from proxy.settings import WorkerSettings
from proxy.window import Window
from tests.proxy.test_link import FIRST, MANY, ROUTE, SECOND, count
from tests.servers import Background, eventually
from tests.workers import ControlEnd


class Linked:
    """A real worker's parts, linked to a real control end; nobody sends it requests."""

    def __init__(self, background: Background, control: ControlEnd) -> None:
        settings = WorkerSettings(control.origin, ("127.0.0.1", 0))
        self._background = background
        self.worker = background.call(lambda: app.build(settings))
        background.call(self.worker.start)

    def count(self, times: int) -> None:
        self._background.call(lambda: count(self.worker.windows, times))

    def stop(self) -> None:
        self._background.run(self.worker.stop())


@pytest.fixture
def control(background: Background) -> Iterator[ControlEnd]:
    with ControlEnd(background) as end:
        yield end


@pytest.fixture
def linked(background: Background, control: ControlEnd) -> Iterator[Linked]:
    made = Linked(background, control)
    yield made
    made.stop()
    assert made.worker.upstreams.connections == 0


def _answers(control: ControlEnd) -> int:
    return control.window("m").champion.answers


def test_windows_arrive_exactly_once_in_sum_across_every_kind_of_outage(control: ControlEnd, linked: Linked) -> None:
    linked.count(5)
    eventually(lambda: _answers(control) == 5)
    control.refusing = True
    linked.count(7)
    eventually(lambda: control.unheard >= 2)
    assert _answers(control) == 5
    control.refusing = False
    eventually(lambda: _answers(control) == 12)
    before, control.mute = control.unheard, True
    linked.count(11)
    eventually(lambda: control.unheard >= before + 2)
    control.mute = False
    linked.count(1)
    eventually(lambda: _answers(control) == 24)
    control.stop()
    linked.count(13)
    control.start()
    eventually(lambda: _answers(control) == 37)


def test_a_worker_with_nothing_to_say_gives_signs_of_life(control: ControlEnd, linked: Linked) -> None:
    eventually(lambda: len(control.pushes) >= 2)
    assert {push.worker for push in control.pushes} == {linked.worker.name}
    assert all(push.samples == () for push in control.pushes)


def test_a_snapshot_that_is_published_is_adopted_and_acknowledged(control: ControlEnd, linked: Linked) -> None:
    control.publish(FIRST)
    eventually(lambda: (linked.worker.name, 1) in control.polls)
    assert linked.worker.holder.current == FIRST
    control.stop()
    control.start()
    control.publish(SECOND)
    eventually(lambda: (linked.worker.name, 2) in control.polls)


def test_stopping_pushes_what_is_left(background: Background, control: ControlEnd) -> None:
    linked = Linked(background, control)
    eventually(lambda: control.pushes)
    linked.count(3)
    linked.stop()
    assert _answers(control) == 3
    assert control.window("m") == linked.worker.windows.of(ROUTE) != Window()


def test_stopping_pushes_all_there_is_however_many_models(background: Background, control: ControlEnd) -> None:
    linked = Linked(background, control)

    def change() -> None:
        for route in MANY:
            linked.worker.windows.of(route).fallbacks += 1

    background.call(change)
    linked.stop()
    assert [control.window(route.model).fallbacks for route in MANY] == [1] * len(MANY)


def test_stopping_pushes_again_what_is_on_its_way(background: Background, control: ControlEnd) -> None:
    control.hanging = True
    linked = Linked(background, control)
    linked.count(3)
    eventually(lambda: control.unheard)
    control.hanging = False
    linked.stop()
    assert _answers(control) == 3
