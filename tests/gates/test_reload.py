"""A configuration that changes while everything runs: taken up whole, or refused whole and told of."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from pathlib import Path
from uuid import uuid4

import pytest

from gates import reload
from gates.adapters.jwks import BadToken
from gates.adapters.tokens import hash_of, make
from gates.configured import Change
from gates.phases import Event
from gates.ports import StoreError
from gates.reload import Reloader, Unsound
from gates.settings import SettingsError, load
from proxy.snapshot import Phase
from tests.badfiles import BAD, GOOD, TOLD, restore, without_rights
from tests.control import MODEL, Desk, in_loop, until

CANDIDATE = GOOD.replace('champion: "40"', 'champion: "40"\n    candidate: "42"')


class FileDesk(Desk):
    """A desk whose settings are a file's."""

    def __init__(self, path: Path, reachable: bool = False) -> None:
        self.path = path
        super().__init__(settings=load(path), reachable=reachable)

    def write(self, old: str, new: str) -> None:
        text = self.path.read_text()
        assert old in text
        restore(self.path, text.replace(old, new))

    @property
    def told(self) -> list[tuple[str, str]]:
        """The audit rows about the configuration itself."""
        return [(row.event, row.by) for row in self.store.audit if not row.model]


def save(path: Path, text: str) -> None:
    """In place, as some editors do."""
    path.write_text(text)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(reload, "SECOND_LOOK", 0.0)
    restore(tmp_path / "penstock.yaml")
    return tmp_path / "penstock.yaml"


@asynccontextmanager
async def watching(reloader: Reloader) -> AsyncIterator[None]:
    task = asyncio.create_task(reloader.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class TestReload:
    @in_loop
    async def test_a_change_is_in_force_in_one_generation(self, path: Path) -> None:
        async with FileDesk(path) as desk:
            before = desk.controller.snapshot.generation
            desk.write("timeout: 2s", "timeout: 3s")
            desk.write("percent: 100}\n", "percent: 50}\n")
            taken = await desk.reloader.reload("ada", "as agreed")
            assert (desk.route.timeout, desk.route.shadow.share_bp) == (3.0, 5_000)
            assert taken.generation == desk.controller.snapshot.generation == before + 1
            assert taken.changes == (
                Change(f"models.{MODEL}.shadow.percent", "100", "50"),
                Change(f"models.{MODEL}.timeout", "2s", "3s"),
            )
            row = desk.store.audit[-1]
            assert (row.event, row.by, row.generation) == ("reload", "ada", taken.generation)
            assert row.reason.startswith("as agreed: ")
            assert "timeout: 2s -> 3s" in row.reason

    @in_loop
    async def test_what_is_in_force_already_changes_nothing(self, path: Path) -> None:
        async with FileDesk(path) as desk:
            before, rows = desk.controller.snapshot, list(desk.store.audit)
            assert not (await desk.reloader.reload("ada")).changed
            assert (desk.controller.snapshot, desk.store.audit) == (before, rows)
            assert desk.reloader.outcomes["unchanged"] == 1

    @in_loop
    async def test_a_share_in_the_file_moves_the_ramp_at_once(self, path: Path) -> None:
        restore(path, CANDIDATE)
        async with FileDesk(path) as desk:
            assert (desk.phase, desk.route.ramp_bp) == (Phase.SHADOW, 0)
            desk.write("timeout: 2s", "timeout: 2s\n    percent: 37")
            await desk.reloader.reload("ada")
            assert desk.route.ramp_bp == 3_700
            desk.write("percent: 37", "percent: 12")
            await desk.reloader.reload("ada")
            assert desk.route.ramp_bp == 1_200

    @in_loop
    async def test_a_store_that_is_gone_delays_it(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reload, "STORE_REST", 0.02)
        async with FileDesk(path) as desk:
            desk.store.broken = "gone"
            desk.write("timeout: 2s", "timeout: 3s")
            with pytest.raises(StoreError):
                await desk.reloader.reload("ada")
            assert desk.route.timeout == 2.0
            assert "gone" in desk.reloader.status.trouble
            async with watching(desk.reloader):
                desk.store.broken = ""
                save(path, GOOD.replace("timeout: 2s", "timeout: 3s"))
                await until(lambda: desk.reloader.status.trouble == "")
            assert desk.route.timeout == 3.0

    @in_loop
    async def test_a_control_plane_that_waits_goes_by_it_once_it_acts(self, path: Path) -> None:
        desk = FileDesk(path)
        desk.write("timeout: 2s", "timeout: 3s")
        assert (await desk.reloader.reload("ada")).changed
        assert desk.store.audit == []
        async with desk:
            assert desk.route.timeout == 3.0

    @in_loop
    async def test_what_a_process_cannot_change_is_named(self, path: Path) -> None:
        async with FileDesk(path) as desk:
            desk.write("listen: 127.0.0.1:8080", "listen: 127.0.0.1:8081\nstore: sqlite:///hunter2.db")
            taken = await desk.reloader.reload("ada")
            waits = ("listen", "store")
            assert (taken.waits_for_restart, desk.reloader.status.waits_for_restart) == (waits, waits)
            assert "hunter2" not in str(taken) + desk.store.audit[-1].reason + desk.store.audit[-1].inputs
            restore(path)
            await desk.reloader.reload("ada")
            assert desk.reloader.status.waits_for_restart == ()


class TestBadFiles:
    @pytest.mark.parametrize("name", BAD)
    @in_loop
    async def test_a_bad_file_changes_nothing_and_a_good_one_after_it_takes(self, path: Path, name: str) -> None:
        async with FileDesk(path) as desk:
            before = desk.controller.snapshot
            BAD[name](path)
            with without_rights() if name == "no permission" else nullcontext():
                with pytest.raises(SettingsError):
                    load(path)  # as at the start
                with pytest.raises(Unsound) as refused:
                    await desk.reloader.reload("ada")
            assert f"{path.parent}/{TOLD[name]}" in str(refused.value)
            assert desk.controller.snapshot == before
            assert desk.told == [("reload_refused", "ada")]
            assert desk.reloader.outcomes["refused"] == 1
            assert desk.reloader.status.trouble == str(refused.value)
            assert "hunter2" not in str(refused.value)
            restore(path, GOOD.replace("timeout: 2s", "timeout: 4s"))
            await desk.reloader.reload("ada")
            assert desk.route.timeout == 4.0
            assert desk.reloader.status.trouble == ""

    @in_loop
    async def test_a_version_that_serves_and_has_no_server_any_more(self, path: Path) -> None:
        restore(path, CANDIDATE)
        async with FileDesk(path) as desk:
            while desk.phase is not Phase.PROMOTED:
                await desk.command(Event.PROMOTE)
            desk.write('"42": [http://127.0.0.1:2]', '"43": [http://127.0.0.1:2]')
            desk.write('candidate: "42"', 'candidate: "43"')
            before = desk.controller.snapshot
            with pytest.raises(Unsound, match=f"^{path}:4: {MODEL}: version 42 has no server; add it under models"):
                await desk.reloader.reload("ada")
            assert desk.controller.snapshot == before

    @in_loop
    async def test_the_same_bad_file_is_told_once(self, path: Path) -> None:
        async with FileDesk(path) as desk, watching(desk.reloader):
            BAD["an open bracket"](path)
            await until(lambda: desk.told != [])
            save(path.with_name("other.yaml"), "x: 1")
            await asyncio.sleep(0.5)  # in which it could be told once more
            assert desk.told == [("reload_refused", "configuration")]

    @in_loop
    async def test_a_file_that_is_half_written_at_the_first_look_is_not_told(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reload, "SECOND_LOOK", 1.0)
        async with FileDesk(path) as desk:
            save(path, GOOD[: GOOD.index("error_rate")])
            asked = asyncio.create_task(desk.reloader.reload("ada"))
            await asyncio.sleep(0.3)
            restore(path, GOOD.replace("timeout: 2s", "timeout: 3s"))
            assert (await asked).changed
            assert desk.reloader.outcomes["refused"] == 0


class TestWatch:
    """By the real notices of the file system."""

    @in_loop
    async def test_a_file_that_is_saved_in_place_or_by_renaming(self, path: Path) -> None:
        async with FileDesk(path) as desk, watching(desk.reloader):
            save(path, GOOD.replace("timeout: 2s", "timeout: 3s"))
            await until(lambda: desk.route.timeout == 3.0)
            restore(path, GOOD.replace("timeout: 2s", "timeout: 4s"))
            await until(lambda: desk.route.timeout == 4.0)

    @in_loop
    async def test_a_config_map_whose_data_link_is_swapped(self, tmp_path: Path) -> None:
        mount = ConfigMap(tmp_path / "mount")
        mount.publish(GOOD)
        async with FileDesk(mount.file) as desk, watching(desk.reloader):
            for seconds in (3, 4, 5):
                mount.publish(GOOD.replace("timeout: 2s", f"timeout: {seconds}s"))
                await until(lambda: desk.route.timeout == seconds)  # noqa: B023 - awaited within the turn

    @in_loop
    async def test_a_file_that_is_included_from_another_folder(self, path: Path) -> None:
        gates = path.parent / "gates"
        gates.mkdir()
        (gates / "own.yaml").write_text("errors: {metric: error_rate, max: 5%}")
        restore(path, GOOD.replace("{errors: {metric: error_rate, max: 5%}}", "!include gates/own.yaml"))
        async with FileDesk(path) as desk, watching(desk.reloader):
            restore(gates / "own.yaml", "errors: {metric: error_rate, max: 6%}")
            await until(lambda: desk.reloader.outcomes["taken"] == 1)

    @in_loop
    async def test_a_file_that_goes_and_comes_back(self, path: Path) -> None:
        async with FileDesk(path) as desk, watching(desk.reloader):
            BAD["not there"](path)
            await until(lambda: desk.reloader.outcomes["refused"] == 1)
            restore(path, GOOD.replace("timeout: 2s", "timeout: 3s"))
            await until(lambda: desk.route.timeout == 3.0)


class TestRehearsal:
    @in_loop
    async def test_it_tells_what_would_change_and_changes_nothing(self, path: Path) -> None:
        async with FileDesk(path) as desk:
            before, rows = desk.controller.snapshot, list(desk.store.audit)
            restore(path, CANDIDATE.replace("timeout: 2s", "timeout: 3s"))
            told = await desk.reloader.rehearse()
            assert [change.key for change in told.changes] == [f"models.{MODEL}.candidate", f"models.{MODEL}.timeout"]
            assert [(each.model, each.event) for each in told.consequences] == [(MODEL, "configure"), (MODEL, "start")]
            assert (desk.controller.snapshot, desk.store.audit) == (before, rows)
            assert desk.reloader.status.trouble == ""

    @in_loop
    async def test_it_tells_what_the_last_hour_would_have_been(self, path: Path) -> None:
        text = CANDIDATE.replace("plan: {", "plan: {shadow: {min_duration: 10s, min_requests: 100}, ")
        restore(path, text)
        async with FileDesk(path) as desk:
            worker = desk.worker()
            await worker.poll()
            await desk.wait(1, worker)
            worker.traffic(2_000, failures=30)
            await desk.wait(20, worker)
            assert desk.route.ramp_bp == 500, "1.5 % of failures pass a gate of 5 %"
            desk.write("max: 5%", "max: 0.5%")
            told = await desk.reloader.rehearse()
            assert told.replayed == 1
            assert [(each.event, each.instead) for each in told.otherwise] == [("climb", "roll_back")]
            desk.clock.advance(2 * reload.LAST_HOUR)
            assert (await desk.reloader.rehearse()).otherwise == ()

    @in_loop
    async def test_a_bad_file_is_no_rehearsal(self, path: Path) -> None:
        async with FileDesk(path) as desk:
            BAD["NaN"](path)
            with pytest.raises(Unsound, match="finite"):
                await desk.reloader.rehearse()
            assert desk.told == []


class TestAccess:
    @in_loop
    async def test_a_token_that_is_taken_out_is_good_no_more(self, path: Path) -> None:
        token = make()
        bearer = f'access: {{tokens: [{{name: ada, role: viewer, hash: "{hash_of(token)}"}}]}}\n'
        restore(path, GOOD + bearer)
        async with FileDesk(path) as desk:
            assert (await desk.authenticator.identify(token)).name == "ada"
            restore(path, (GOOD + bearer).replace(hash_of(token), hash_of(make())))
            await desk.reloader.reload("ada")
            with pytest.raises(BadToken):
                await desk.authenticator.identify(token)

    @in_loop
    async def test_a_port_that_others_reach_is_not_left_open(self, path: Path) -> None:
        bearer = f'access: {{tokens: [{{name: ada, role: viewer, hash: "{hash_of(make())}"}}]}}\n'
        restore(path, GOOD + bearer)
        async with FileDesk(path, reachable=True) as desk:
            restore(path, GOOD)
            with pytest.raises(Unsound, match=f"^{path}:1: access: .*no tokens are configured: name bearers under"):
                await desk.reloader.reload("ada")
            assert desk.authenticator.required

    @in_loop
    async def test_a_token_that_cannot_be_had_changes_nothing(self, path: Path) -> None:
        async with FileDesk(path) as desk:
            restore(path, GOOD + "access: {tokens: [{name: ada, role: viewer, env: NOT_THERE}]}\n")
            said = f"^{path}:10: access.tokens: the token of ada is not there: set NOT_THERE"
            for asked in (desk.reloader.reload("ada"), desk.reloader.rehearse()):
                with pytest.raises(Unsound, match=said):
                    await asked
            assert not desk.authenticator.required


class ConfigMap:
    """A folder as the kubelet mounts it: each version in a folder of its own, reached through the link `..data`."""

    def __init__(self, mount: Path) -> None:
        self.mount = mount
        self.file = mount / "penstock.yaml"
        mount.mkdir()

    def publish(self, text: str) -> None:
        version = self.mount / f"..{uuid4().hex}"
        version.mkdir()
        (version / "penstock.yaml").write_text(text)
        (self.mount / "..data_tmp").symlink_to(version.name)
        old = os.path.realpath(self.mount / "..data")
        (self.mount / "..data_tmp").replace(self.mount / "..data")
        if not self.file.is_symlink():
            self.file.symlink_to("..data/penstock.yaml")
        else:
            (Path(old) / "penstock.yaml").unlink()
            Path(old).rmdir()
