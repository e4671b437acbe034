"""What a NO-GO calls for: told in a dry run, done when asked, and nothing by default."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from uvicorn._types import ASGISendCallable

from gates.cli import run
from gates.exits import Exit
from gates.promotion.remedies import Remedy, due
from gates.promotion.report import Report, StageReport
from gates.promotion.rule import Rule
from gates.settings import SettingsError, load_promotion
from gates.verdict import Verdict
from tests.servers import AppServer, Background, Handler, ModelServer, Seen, refusing, reply

FILE = """
live:
  loss: {{metric: prometheus, query: loss, max: 2}}
  cpu: {{metric: prometheus, query: cpu, max: 1, severity: advisory}}
remedies:
  loss: {{webhook: {{url: "{url}/admin/mode?token=s3cret", body: {{mode: balanced, steps: 1}}}}}}
"""


@pytest.fixture
def prometheus(background: Background) -> AppServer:
    """Its API alone, with a loss of 3: the real one is asked in test_gate_live."""
    answer = {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, "3"]}]}}
    return ModelServer(background, _answering(msgspec.json.encode(answer)))


def _answering(body: bytes) -> Handler:
    async def handle(seen: Seen, send: ASGISendCallable) -> None:
        await reply(send, body)

    return handle


def check(folder: Path, prometheus: AppServer, webhook: str, *more: str) -> int:
    file = folder / "gates.yaml"
    file.write_text(FILE.format(url=webhook))
    asked = ["gate", "live", "--gates", str(file), "--prometheus-url", f"http://127.0.0.1:{prometheus.port}"]
    return run([*asked, "--strict", *more])


def test_nothing_is_done_unless_it_is_asked_for(
    prometheus: AppServer, background: Background, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with prometheus, ModelServer(background) as hook:
        address = f"http://127.0.0.1:{hook.port}"
        assert check(tmp_path, prometheus, address) == Exit.NO_GO
        assert "remedy" not in capfd.readouterr().err
        assert check(tmp_path, prometheus, address, "--remedy", "dry-run") == Exit.NO_GO
        assert "gate loss fails: would webhook to 127.0.0.1/admin/mode" in capfd.readouterr().err
        assert hook.seen == []
        assert check(tmp_path, prometheus, address, "--remedy", "act") == Exit.NO_GO
        (seen,) = hook.seen
    told = capfd.readouterr()
    assert msgspec.json.decode(seen.body) == {
        "mode": "balanced",
        "steps": 1,
        "reason": "gate loss: 3: at most 2 asked",
    }
    assert "s3cret" not in told.err + told.out


def test_a_webhook_that_fails_changes_no_verdict(
    prometheus: AppServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with prometheus, refusing() as origin:
        assert check(tmp_path, prometheus, f"http://{origin.authority}", "--remedy", "act") == Exit.NO_GO
    assert "failed: ConnectError" in capfd.readouterr().err


def test_a_mode_that_is_none_is_refused(prometheus: AppServer, tmp_path: Path) -> None:
    with prometheus:
        assert check(tmp_path, prometheus, "http://127.0.0.1:1", "--remedy", "yes") == Exit.USAGE


def test_what_is_not_known_calls_for_nothing() -> None:
    results = [Rule(name="loss").lacking(2.0, "no data", "Prometheus")]
    report = Report.of("", "", "", 0.0, [StageReport.of("live", results)])
    assert list(due(report, {"loss": Remedy("loss", rollback=True)})) == []
    failed = Rule(name="loss").result(Verdict.FAIL, 3.0, 2.0, "3", "Prometheus")
    assert (
        len(list(due(Report.of("", "", "", 0.0, [StageReport.of("live", [failed])]), {"loss": Remedy("loss", True)})))
        == 1
    )


@pytest.mark.parametrize(
    ("remedies", "said"),
    [
        ("{los: {rollback: true}}", "there is no gate los; there are: loss, cpu"),
        ("{cpu: {rollback: true}}", "gate cpu is advisory"),
        ("{loss: {}}", "does nothing"),
        ("{loss: {webhook: {url: ftp://x}}}", "expected http://host:port"),
    ],
)
def test_a_remedy_without_a_gate_or_an_act_is_told(tmp_path: Path, remedies: str, said: str) -> None:
    file = tmp_path / "gates.yaml"
    file.write_text(FILE.partition("remedies:")[0].replace("{{", "{").replace("}}", "}") + f"remedies: {remedies}\n")
    with pytest.raises(SettingsError, match=said):
        load_promotion(file)
