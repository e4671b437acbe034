"""TLS as an operator writes it: files by their folder, and nothing that could not work."""

from __future__ import annotations

from pathlib import Path

import pytest

from gates.settings import DataPortTls, Settings, SettingsError, load
from proxy.snapshot import Origin, UpstreamTls


def loaded(tmp_path: Path, top: str = "", model: str = "", server: str = "https://h") -> Settings:
    file = tmp_path / "penstock.yaml"
    lines = [top, "models:", "  m:", f"    servers: {{1: [{server}, http://plain]}}", "    champion: 1", f"    {model}"]
    file.write_text("\n".join(lines))
    return load(file)


def test_an_https_server_is_trusted_by_the_systems_authorities(tmp_path: Path) -> None:
    settings = loaded(tmp_path)
    assert settings.tls is None
    assert settings.models[0].servers["1"] == (Origin("h", 443, UpstreamTls()), Origin("plain", 80))


def test_files_start_at_the_configurations_folder(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        "tls: {certificate: tls/a.crt, key: /etc/a.key}",
        "tls: {ca: ca.pem, certificate: me.pem, server_name: H.internal}",
        "https://h:8443",
    )
    assert settings.tls == DataPortTls(tmp_path / "tls/a.crt", Path("/etc/a.key"), None)
    tls = UpstreamTls(str(tmp_path / "ca.pem"), str(tmp_path / "me.pem"), "", "h.internal")
    assert settings.models[0].servers["1"] == (Origin("h", 8443, tls), Origin("plain", 80))


@pytest.mark.parametrize(
    ("top", "model", "server", "key", "said"),
    [
        ("tls: {key: a}", "", "https://h", "tls.certificate", "is missing: The certificate, with the chain"),
        ("tls: {certificate: ''}", "", "https://h", "tls.certificate", "expected the path of a file"),
        ("", "tls: {key: a}", "https://h", "models.m.tls.key", "a key needs a certificate beside it"),
        ("", "tls: {ca: a}", "http://h", "models.m.tls", "none of the servers is an https:// one"),
        ("", "tls: {server_name: 'h:1'}", "https://h", "models.m.tls.server_name", "a host without a port"),
        ("", "tls: {certificat: a}", "https://h", "models.m.tls.certificat", "unknown key; did you mean certificate?"),
    ],
)
def test_what_could_not_work_is_refused(tmp_path: Path, top: str, model: str, server: str, key: str, said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        loaded(tmp_path, top, model, server)
    (problem,) = raised.value.problems
    assert problem.key == key
    assert said in problem.message
