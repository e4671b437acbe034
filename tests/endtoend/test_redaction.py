"""What is marked for redaction appears nowhere: not in store, log, metrics, API or MLflow; nor on disk at all."""

from __future__ import annotations

import contextlib
import gzip
import json
import sqlite3
import subprocess
import sys
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from gates.adapters.mlflowstore import connect
from tests.endtoend.penstock import MODEL, Penstock, configuration
from tests.servers import JSON, START_PATIENCE, Background, Handler, ModelServer, Seen, eventually, reply
from tests.wire import PATIENCE

pytestmark = pytest.mark.timeout(600)  # MLflow's import and its first database, on a busy machine

IN_BODY, IN_HEADER, IN_COLUMN, IN_QUERY, IN_KEY = (
    "canary-7f3a-body-Zoë",
    "canary-7f3a-header",
    "canary-7f3a-col",
    "canary-7f3a-query",
    "canary-7f3a-key",
)
CANARY = "canary-7f3a"
PLAIN = "kept-in-the-open"
"""A field that nobody marked: that it is found shows that looking for the others means something."""

GATES = {"agreement": {"min": "6%"}}
"""So low that it is a person who ends the rollout, once every kind of request is on record."""
KINDS = ("plain", "large", "gzip", "csv", "zipped", "streamed")
FINDINGS = {"value", "text", "status_5xx"}


@pytest.fixture
def registered(tmp_path: Path) -> str:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    client: Any = connect(uri)
    client.create_registered_model(MODEL)
    for _ in range(2):
        client.create_model_version(MODEL, str(tmp_path / "model"))
    return uri


def echoing(label: str, failing: bool = False) -> Handler:
    """A server that repeats, in several ways, what it is sent, and predicts one label and a customer's name.

    Every fourth answer is a long one; one that is `failing` fails every fifth request."""

    async def handle(seen: Seen, send: Any) -> None:
        (sent_as,) = seen.all("x-request-id")
        number, _, kind = sent_as.partition(".")
        told = echo(label, seen) | {"padding": " " * (0 if int(number) % 4 else 40_000)}
        status = 500 if failing and int(number) % 5 == 0 else 200
        if kind == "streamed":
            await reply(send, streamed(f"{label} " * 9 + IN_BODY), fields=[("content-type", "text/event-stream")])
        elif kind == "zipped":
            await reply(send, gzip.compress(json.dumps(told).encode()), status, (JSON, ("content-encoding", "gzip")))
        else:
            await reply(send, json.dumps(told).encode(), status)

    return handle


def echo(label: str, seen: Seen) -> dict[str, Any]:
    body = gzip.decompress(seen.body) if seen.all("content-encoding") else seen.body
    told: dict[str, Any] = {
        "predictions": [label, IN_BODY, IN_COLUMN],
        "note": PLAIN,
        "customer": {"name": IN_BODY},
        IN_BODY: IN_KEY,
    }
    return told | {"body": body.decode()[:500], "fields": dict(seen.fields), "target": seen.target.decode()}


def streamed(text: str) -> bytes:
    """A chat's stream, in which every value stands in pieces."""
    deltas = [{"delta": {"content": text[at : at + 5]}} for at in range(0, len(text), 5)]
    events = [{"choices": [choice]} for choice in (*deltas, {"delta": {}, "finish_reason": "stop"})]
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode()


def request(number: int) -> dict[str, Any]:
    split = {"columns": ["age", "name", "name"], "data": [[40 + number, IN_COLUMN, f"{IN_COLUMN}-2"]]}
    return {"customer": {"name": IN_BODY, IN_KEY: 1}, "dataframe_split": split, "note": PLAIN}


def sent(number: int, kind: str) -> tuple[bytes, dict[str, str]]:
    """The body, and the headers that belong to it."""
    asked = request(number)
    if kind == "csv":
        return f"number,name\n{number},{IN_BODY}\n".encode(), {"content-type": "text/csv"}
    raw = json.dumps(asked | {"padding": "x" * 70_000} if kind == "large" else asked).encode()
    if kind == "gzip":
        return gzip.compress(raw), {"content-type": "application/json", "content-encoding": "gzip"}
    return raw, {"content-type": "application/json"}


def test_no_marked_field_is_found_anywhere(tmp_path: Path, registered: str, background: Background) -> None:
    redact = {"fields": ["customer", "dataframe_split.name"], "headers": ["X-Customer"]}
    with (
        ModelServer(background, echoing("old")) as champion,
        ModelServer(background, echoing("new", failing=True)) as candidate,
    ):
        settings = configuration(
            tmp_path / "penstock.db",
            {"1": f"http://{champion.origin.authority}", "2": f"http://{candidate.origin.authority}"},
            champion="1",
            candidate="2",
            agreement={"disagreements": {"keep": 100, "redact": redact}},
            gates=GATES,
        )
        settings["mlflow"] = {"tracking_uri": registered}
        with Penstock(tmp_path, settings, workers=2) as penstock:
            rounds = count()
            told = eventually(lambda: _told_after(penstock, next(rounds)), START_PATIENCE)
            with penstock.client() as client:
                client.ask(MODEL, "rollback", "jane", "seen enough")
            eventually(lambda: (seen := penstock.model()) and seen.phase == "rolled_back")
            shown = subprocess.run(
                [sys.executable, "-m", "gates", "disagreements", MODEL, "--control", penstock.control_url],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            table = eventually(lambda: _table(registered), START_PATIENCE)  # it imports MLflow first
            heard = [told, shown, table, _api(penstock, "events"), *map(_getting(penstock), PAGES)]
        heard.append(penstock.log.read_text())
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for text in (told, shown, table):
        assert PLAIN in text
    assert any(PLAIN.encode() in raw for raw in kept)
    assert [text for text in heard if CANARY in text] == []
    assert [raw for raw in kept if CANARY.encode() in raw] == []
    pairs = json.loads(told)
    known = [pair for pair in pairs if not pair["request"].startswith("[withheld")]
    assert {pair["headers"]["x-customer"] for pair in known} == {"[redacted]"}
    assert {pair["path"] for pair in known} == {"/users/[redacted]/invocations"}
    with contextlib.closing(sqlite3.connect(tmp_path / "penstock.db")) as store:
        assert store.execute("SELECT count(*) FROM disagreements").fetchone()[0] > 0


def _told_after(penstock: Penstock, number: int) -> str:
    """What is on record once all kinds of requests were sent once more; "" while a kind is missing."""
    for kind in KINDS:
        body, fields = sent(number, kind)
        response = httpx2.post(
            f"{penstock.url}/users/{quote(IN_BODY)}/invocations?key={IN_QUERY}",
            content=body,
            headers={
                **fields,
                "x-request-id": f"{number}.{kind}",
                "x-customer": IN_HEADER,
                "x-note": f"of {quote(IN_BODY)}",
                "authorization": f"Bearer {IN_HEADER}",
                "cookie": IN_HEADER,
            },
            timeout=PATIENCE,
            trust_env=False,
        )
        assert kind == "streamed" or CANARY in response.text, "the servers echo what they are sent"
    told = _api(penstock, "disagreements")
    pairs = json.loads(told)
    kinds = {pair["request_id"].partition(".")[2] for pair in pairs}
    return told if kinds == set(KINDS) and {pair["finding"] for pair in pairs} == FINDINGS else ""


PAGES = ("/metrics", "/api/status", f"/api/models/{MODEL}")


def _getting(penstock: Penstock) -> Any:
    return lambda path: httpx2.get(penstock.control_url + path, timeout=PATIENCE, trust_env=False).text


def _api(penstock: Penstock, what: str) -> str:
    return str(_getting(penstock)(f"/api/models/{MODEL}/{what}"))


def _table(tracking_uri: str) -> str:
    client: Any = connect(tracking_uri)
    experiment = client.get_experiment_by_name("penstock")
    runs = client.search_runs([experiment.experiment_id]) if experiment else []
    if not runs or runs[0].info.status != "FINISHED":
        return ""
    with TemporaryDirectory() as folder:
        return Path(client.download_artifacts(runs[0].info.run_id, "disagreements.json", folder)).read_text()
