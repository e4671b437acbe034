"""V2: MLServer's JSON, and the binary extension as Triton's own client writes and reads it, through the proxy."""

from __future__ import annotations

import gzip
import json
import struct
import subprocess
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from proxy.comparison import Answer, compare
from proxy.formats import predictions
from proxy.snapshot import AgreementSpec, ModelRoute, ShadowPolicy
from tests.realservers.asking import IRIS, ROWS, answer, split
from tests.realservers.mlserver import ENVIRONMENT, MODEL, MLServer
from tests.servers import Background, ModelServer, Seen, eventually, reply
from tests.workers import Fleet, target

pytestmark = pytest.mark.timeout(600)

PATH = f"/v2/models/{MODEL}/infer"
CLOSE = AgreementSpec(relative=0, absolute=1e-9)


def infer(server: MLServer, datatype: str, *outputs: str, rows: pd.DataFrame = ROWS) -> Answer:
    tensor = {"name": "x", "shape": list(rows.shape), "datatype": datatype, "data": rows.to_numpy().ravel().tolist()}
    return answer(f"{server.url}{PATH}", {"inputs": [tensor], "outputs": [{"name": name} for name in outputs]})


def test_its_tensors_are_the_models_predictions(mlserver: MLServer) -> None:
    model = LogisticRegression(max_iter=1000).fit(IRIS.data, IRIS.target)
    labels = predictions(infer(mlserver, "FP64", "predict"), CLOSE, PATH.encode())
    assert list(labels.rows) == model.predict(ROWS).tolist()
    scores = predictions(infer(mlserver, "FP64", "predict_proba"), CLOSE, PATH.encode())
    assert np.asarray(scores.rows) == pytest.approx(model.predict_proba(ROWS))


def test_the_same_model_in_two_precisions_agrees(mlserver: MLServer) -> None:
    single, double = infer(mlserver, "FP32", "predict_proba"), infer(mlserver, "FP64", "predict_proba")
    found = compare(double, single, AgreementSpec(relative=1e-5, absolute=1e-6), PATH.encode())
    assert (found.finding, found.rows, found.rows_disagreed) == ("", len(ROWS), 0)


def test_swapped_columns_are_found_where_they_change_the_answer_by_hand(mlserver: MLServer) -> None:
    model = LogisticRegression(max_iter=1000).fit(IRIS.data, IRIS.target)
    wrong = ROWS[[ROWS.columns[place] for place in (2, 1, 0, 3)]].set_axis(ROWS.columns, axis=1)
    labels = np.flatnonzero(model.predict(ROWS) != model.predict(wrong))
    gaps = np.abs(model.predict_proba(ROWS) - model.predict_proba(wrong))
    beyond = np.flatnonzero((gaps > 0.25).any(axis=1))
    assert 20 < len(beyond) < len(ROWS) - 20
    for output, differ, finding in (("predict", labels, "label"), ("predict_proba", beyond, "number")):
        sides = infer(mlserver, "FP64", output), infer(mlserver, "FP64", output, rows=wrong)
        found = compare(*sides, AgreementSpec(relative=0, absolute=0.25), PATH.encode())
        assert (found.finding, found.rows, found.rows_disagreed) == (finding, len(ROWS), len(differ))
        assert found.row == differ[0]
        if finding == "number":
            assert found.largest_gap == pytest.approx(gaps.max())


def test_the_same_model_agrees_in_v1_and_in_v2(mlserver: MLServer, mlflow_servers: dict[str, str]) -> None:
    for champion, output in (("labels", "predict"), ("double", "predict_proba")):
        v1 = answer(f"{mlflow_servers['champion']}/invocations", split(champion=champion, candidate="labels"))
        v2 = infer(mlserver, "FP64", output)
        if output == "predict_proba":  # V1 has the last class alone
            document = json.loads(gzip.decompress(v2.body or b""))
            (tensor,) = document["outputs"]
            tensor.update(shape=[len(ROWS)], data=tensor["data"][2::3])
            v2 = Answer(200, [(b"content-type", b"application/json")], json.dumps(document).encode())
        found = compare(v1, v2, CLOSE, b"/invocations")
        assert (found.finding, found.skipped, found.rows_disagreed) == ("", "", 0)


# The binary extension: MLServer answers in JSON alone, so this server is ours; who asks it, and reads it, is not.

_CLIENT = """
import sys, json, numpy, tritonclient.http as triton
tensor = triton.InferInput("x", [3, 2], "FP32")
tensor.set_data_from_numpy(numpy.arange(6, dtype=numpy.float32).reshape(3, 2), binary_data=True)
wanted = [triton.InferRequestedOutput(name, binary_data=True) for name in ("y", "label")]
client = triton.InferenceServerClient(sys.argv[1])
for _ in range(int(sys.argv[2])):
    answer = client.infer("m", [tensor], outputs=wanted)
print(json.dumps({"y": answer.as_numpy("y").tolist(), "label": [one.decode() for one in answer.as_numpy("label")]}))
"""


def binary(change: float = 0.0) -> Any:
    """A server that sums each row, and names it, as raw tensors."""

    async def handle(seen: Seen, send: Any) -> None:
        length = int(seen["inference-header-content-length"])
        (tensor,) = json.loads(seen.body[:length])["inputs"]
        assert tensor["parameters"]["binary_data_size"] == len(seen.body) - length
        rows = np.frombuffer(seen.body[length:], "<f4").reshape(tensor["shape"])
        y = (rows.sum(axis=1) + change).astype("<f4").tobytes()
        names = b"".join(struct.pack("<I", len(name)) + name for name in (b"low", b"mid", b"high"))
        outputs = [
            {"name": "label", "shape": [3], "datatype": "BYTES", "parameters": {"binary_data_size": len(names)}},
            {"name": "y", "shape": [3], "datatype": "FP32", "parameters": {"binary_data_size": len(y)}},
        ]
        head = json.dumps({"model_name": "m", "outputs": outputs}).encode()
        kinds = [("content-type", "application/octet-stream"), ("inference-header-content-length", str(len(head)))]
        await reply(send, head + names + y, fields=kinds)

    return handle


@pytest.mark.parametrize(("change", "finding"), [(0.0, ""), (0.25, "number")])
def test_tritons_client_is_served_in_binary_and_what_it_gets_is_compared(
    mlserver: MLServer, fleet: Fleet, background: Background, change: float, finding: str
) -> None:
    with ModelServer(background, binary()) as champion, ModelServer(background, binary(change)) as candidate:
        name = f"binary-{finding or 'same'}"
        servers = (target("1", champion), target("2", candidate))
        patient = ShadowPolicy(timeout=60.0)
        fleet.deploy(ModelRoute(name, f"/{name}", *servers, salt=name, timeout=60.0, shadow=patient))

        def looked_at() -> Any:
            asked = [str(ENVIRONMENT / "bin" / "python"), "-c", _CLIENT, f"127.0.0.1:{fleet.port}/{name}", "5"]
            got = json.loads(subprocess.run(asked, check=True, capture_output=True, timeout=120).stdout)
            assert got == {"y": [1.0, 5.0, 9.0], "label": ["low", "mid", "high"]}
            time.sleep(0.3)
            return fleet.control.window(name).agreement.compared and fleet.control.window(name)

        window = eventually(looked_at)
        agreement = window.agreement
        assert set(agreement.findings) == ({finding} if finding else set())
        assert agreement.largest_gap == change
        assert agreement.disagreed == (agreement.compared if finding else 0)
        assert window.champion_outputs["label"].labels.keys() == {"low", "mid", "high"}
