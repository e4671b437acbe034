"""A load on a model server, or on the proxy before it: steady, ramp or spike, told in one line as it goes.

It works by itself, with Locust's page or without it:

    locust -f loadtests/model_load.py --host http://127.0.0.1:8080
    locust -f loadtests/model_load.py --headless --host http://127.0.0.1:5001 --users 20 --run-time 60s --shape spike

and `penstock gate staging` runs it on a candidate. The payload is JSON: a file with one body, or with one in each line
(.jsonl), which are sent in turn.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import Any
from uuid import uuid4

import gevent
from locust import FastHttpUser, LoadTestShape, constant_throughput, events, task
from locust.env import Environment

QUANTILES = (0.5, 0.95, 0.99)
RAMP_UP = 0.8  # of the time, until all users are there
CALM = 0.2  # of the users, before and after a spike
SPIKE = (0.4, 0.6)  # of the time
TELL_EVERY = 1.0


@events.init_command_line_parser.add_listener
def _options(parser: Any) -> None:
    ours = parser.add_argument_group("The load")
    ours.add_argument("--payload", default="", help="JSON, or .jsonl with a body in each line")
    ours.add_argument("--path", default="/invocations", help="where predictions are asked for")
    ours.add_argument("--rate", type=float, default=2.0, help="requests a second of each user")
    ours.add_argument("--shape", default="steady", choices=["steady", "ramp", "spike"])
    ours.add_argument("--summary", default="", help="a file for the figures, as JSON")


def options_of(environment: Environment) -> Namespace:
    """What the command line says."""
    options: Namespace | None = environment.parsed_options
    assert options is not None, "Locust has read it before it makes a user or a shape"
    return options


class Load(LoadTestShape):
    """How many users there are, second by second; --users at the most, for --run-time."""

    use_common_options = True

    def tick(self) -> tuple[int, float] | None:
        assert self.runner is not None, "whoever asks for a tick has set it"
        options = options_of(self.runner.environment)
        users, lasts = options.num_users or 1, float(options.run_time or 0) or None
        now = self.get_run_time()
        if lasts is not None and now > lasts:
            return None
        return max(1, round(users * share_at(options.shape, now / lasts if lasts else 1.0))), float(users)


def share_at(shape: str, part: float) -> float:
    """The share of the users that are there after this part of the time, 0 to 1."""
    if shape == "ramp":
        return min(part / RAMP_UP, 1.0)
    if shape == "spike":
        return 1.0 if SPIKE[0] <= part < SPIKE[1] else CALM
    return 1.0


class Client(FastHttpUser):
    """Sends payloads in turn. What is not a 2xx with a JSON body is a failure, and so is an error inside a 200."""

    def wait_time(self) -> float:
        paced: float = constant_throughput(options_of(self.environment).rate)(self)
        return paced

    def on_start(self) -> None:
        self._bodies = itertools.cycle(bodies(options_of(self.environment).payload))

    @task
    def predict(self) -> None:
        options = options_of(self.environment)
        headers = {"content-type": "application/json", "x-request-id": f"load-{uuid4().hex}"}
        asked = self.client.post(
            options.path,
            data=next(self._bodies),  # type: ignore[arg-type]  # Locust's annotation forgets the bytes that its text names
            headers=headers,
            catch_response=True,
        )
        with asked as response:
            if not 200 <= response.status_code < 300:
                response.failure(f"status {response.status_code}")
                return
            try:
                answer = json.loads(response.content)
            except ValueError:
                response.failure("the answer is not JSON")
                return
            if isinstance(answer, dict) and ("error" in answer or "error_code" in answer):
                response.failure("an error inside a 200")


def bodies(payload: str) -> list[bytes]:
    """The bodies to send. Without a file, the smallest that a model server reads."""
    if not payload:
        return [b'{"inputs": [[0.0]]}']
    raw = Path(payload).read_bytes()
    return [line for line in raw.splitlines() if line.strip()] if payload.endswith(".jsonl") else [raw]


class Figures:
    """What was seen so far. Times are in milliseconds, and exact: Locust's own table rounds them."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.failures = 0
        self.began = time.monotonic()
        self.ended = self.began

    def note(self, response_time: float, exception: object = None, **_: object) -> None:
        self.ended = time.monotonic()
        self.times.append(float(response_time or 0.0))
        self.failures += exception is not None

    def quantile(self, q: float) -> float | None:
        """The smallest time that this share of the requests did not exceed."""
        ordered = sorted(self.times)
        return ordered[min(int(q * len(ordered)), len(ordered) - 1)] if ordered else None

    def summary(self) -> dict[str, Any]:
        seconds = {str(q): (t / 1000 if (t := self.quantile(q)) is not None else None) for q in QUANTILES}
        whole = {"requests": len(self.times), "failures": self.failures, "seconds": self.ended - self.began}
        return {**whole, "latencies": seconds}

    def line(self, users: int) -> str:
        p95 = self.quantile(0.95)
        slow = "" if p95 is None else f", p95 {p95:.0f} ms"
        after = time.monotonic() - self.began
        return f"{after:4.0f} s  {users} users  {len(self.times)} requests, {self.failures} failed{slow}"


@events.init.add_listener
def _watch(environment: Environment, **_: object) -> None:
    figures = Figures()
    environment.events.request.add_listener(figures.note)

    def tell() -> None:
        """Over itself in a terminal, and a line now and then in a log."""
        for turn in itertools.count(1):
            gevent.sleep(TELL_EVERY)
            users = environment.runner.user_count if environment.runner else 0
            if sys.stderr.isatty():
                sys.stderr.write(f"\r\x1b[K{figures.line(users)}")
                sys.stderr.flush()
            elif turn % 5 == 0:
                print(figures.line(users), file=sys.stderr)

    if getattr(environment.parsed_options, "headless", False):
        gevent.spawn(tell)

    def keep(**_: object) -> None:
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
        if file := options_of(environment).summary:
            Path(file).write_text(json.dumps(figures.summary()))

    environment.events.quitting.add_listener(keep)
