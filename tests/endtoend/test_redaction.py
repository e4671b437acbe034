"""What is marked for redaction appears nowhere: not in store, log, metrics, API or MLflow; nor on disk at all."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
import pytest

from gates.adapters.mlflowstore import connect
from tests.endtoend.penstock import MODEL, Penstock, configuration
from tests.servers import Background, Handler, ModelServer, Seen, eventually, reply

pytestmark = pytest.mark.timeout(600)  # MLflow's import and its first database, on a busy machine

IN_BODY, IN_HEADER, IN_COLUMN, IN_QUERY = (
    "canary-7f3a-body",
    "canary-7f3a-header",
    "canary-7f3a-col",
    "canary-7f3a-query",
)
CANARY = "canary-7f3a"
PLAIN = "kept-in-the-open"
"""A field that nobody marked: that it is found shows that looking for the others means something."""

GATES = {"agreement": {"min": "90%"}}


@pytest.fixture
def registered(tmp_path: Path) -> str:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    client: Any = connect(uri)
    client.create_registered_model(MODEL)
    for _ in range(2):
        client.create_model_version(MODEL, str(tmp_path / "model"))
    return uri


def echoing(label: str, failing: bool = False) -> Handler:
    """A server that repeats, in several ways, all that it is sent, and predicts one label and a customer's name.

    Every fourth answer is a long one; one that is `failing` fails every third request."""

    async def handle(seen: Seen, send: Any) -> None:
        asked = json.loads(seen.body)
        number = asked["number"]
        told = {"predictions": [label, asked["customer"]["name"]], "note": PLAIN, "again": asked}
        told |= {"body": seen.body.decode(), "fields": dict(seen.fields), "target": seen.target.decode()}
        told["padding"] = " " * (0 if number % 4 else 40_000)
        await reply(send, json.dumps(told).encode(), status=200 if number % 3 or not failing else 500)

    return handle


def request(number: int) -> dict[str, Any]:
    split = {"columns": ["age", "name"], "data": [[40 + number, IN_COLUMN]]}
    return {"number": number, "customer": {"name": IN_BODY}, "dataframe_split": split, "note": PLAIN}


def test_no_marked_field_is_found_anywhere(tmp_path: Path, registered: str, background: Background) -> None:
    redact = {"fields": ["customer", "dataframe_split.name"], "headers": ["X-Customer"]}
    with (
        ModelServer(background, echoing("a")) as champion,
        ModelServer(background, echoing("b", failing=True)) as candidate,
    ):
        settings = configuration(
            tmp_path / "penstock.db",
            {"1": f"http://{champion.origin.authority}", "2": f"http://{candidate.origin.authority}"},
            champion="1",
            candidate="2",
            agreement={"disagreements": {"redact": redact}},
            gates=GATES,
        )
        settings["mlflow"] = {"tracking_uri": registered}
        with Penstock(tmp_path, settings, workers=2) as penstock:
            for number in range(100):
                response = httpx2.post(
                    f"{penstock.url}/invocations?key={IN_QUERY}",
                    json=request(number),
                    headers={"x-customer": IN_HEADER, "authorization": f"Bearer {IN_HEADER}", "cookie": IN_HEADER},
                    trust_env=False,
                )
                assert IN_BODY in response.text, "the servers echo what they are sent"
            eventually(lambda: (seen := penstock.model()) and seen.phase == "rolled_back")
            told = eventually(
                lambda: text if {"value", "status_5xx"} <= _findings(text := _api(penstock, "disagreements")) else ""
            )
            shown = subprocess.run(
                [sys.executable, "-m", "gates", "disagreements", MODEL, "--control", penstock.control_url],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            table = eventually(lambda: _table(registered))
            heard = [told, shown, table, _api(penstock, "events"), *map(_getting(penstock), PAGES)]
        heard.append(penstock.log.read_text())
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for text in (told, shown, table):
        assert PLAIN in text
    assert any(PLAIN.encode() in raw for raw in kept)
    assert [text for text in heard if CANARY in text] == []
    assert [raw for raw in kept if CANARY.encode() in raw] == []
    pairs = json.loads(told)
    assert {pair["headers"]["x-customer"] for pair in pairs} == {"[redacted]"}
    assert _findings(told) == {"value", "status_5xx"}
    with contextlib.closing(sqlite3.connect(tmp_path / "penstock.db")) as store:
        assert store.execute("SELECT count(*) FROM disagreements").fetchone()[0] > 0


PAGES = ("/metrics", "/api/status", f"/api/models/{MODEL}")


def _getting(penstock: Penstock) -> Any:
    return lambda path: httpx2.get(penstock.control_url + path, trust_env=False).text


def _api(penstock: Penstock, what: str) -> str:
    return str(_getting(penstock)(f"/api/models/{MODEL}/{what}"))


def _findings(told: str) -> set[str]:
    return {pair["finding"] for pair in json.loads(told)}


def _table(tracking_uri: str) -> str:
    client: Any = connect(tracking_uri)
    experiment = client.get_experiment_by_name("penstock")
    runs = client.search_runs([experiment.experiment_id]) if experiment else []
    if not runs or runs[0].info.status != "FINISHED":
        return ""
    with TemporaryDirectory() as folder:
        return Path(client.download_artifacts(runs[0].info.run_id, "disagreements.json", folder)).read_text()
