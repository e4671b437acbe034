"""The folders of some files, watched for whatever may change what the files say.

Files are replaced in many ways: written in place, renamed over by an editor, or, as Kubernetes does with a ConfigMap,
by a symlink (`..data`) that is swapped for another. All of them show in the folder that holds the name, so folders are
watched, and never files.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from pathlib import Path

from watchfiles import Change, awatch
from watchfiles.main import FileChange

logger = logging.getLogger("penstock.control")

QUIET_MS = 30
"""A change is told once nothing has changed for so long: editors write in more than one step."""
LONGEST_MS = 120
"""Told by then, however busy the folder is."""
LOOK_AGAIN_MS = 5_000
"""Also told without a change, for file systems that do not tell of any."""
_RETRY = 1.0

_Folders = frozenset[tuple[str, int, int]]
"""Each with its device and inode: a folder that was replaced by another of its name is not the one that is watched."""


async def changes(files: Callable[[], Iterable[Path]]) -> AsyncIterator[None]:
    """Yields whenever the `files` may have changed, for ever; they are asked for anew each time.

    Also once at first, and whenever other folders come under watch: what changed before the watch stood is not told by
    it."""
    polling: bool | None = None
    while True:
        folders = _folders(files())
        watch = _watch(folders, polling)
        turn = asyncio.ensure_future(anext(watch))
        try:
            await asyncio.sleep(0)  # the watch stands by now
            yield
            while _folders(files()) == folders:
                await turn
                turn = asyncio.ensure_future(anext(watch))
                yield
        except (OSError, RuntimeError) as error:
            logger.warning("the configuration's folder cannot be watched, it is looked at instead: %s", error)
            polling = True
            await asyncio.sleep(_RETRY)
        finally:
            turn.cancel()
            await asyncio.gather(turn, return_exceptions=True)
            await watch.aclose()


def _watch(folders: _Folders, polling: bool | None) -> AsyncGenerator[set[FileChange], None]:
    return awatch(
        *(path for path, _, _ in folders),
        watch_filter=_concerns,
        debounce=LONGEST_MS,
        step=QUIET_MS,
        rust_timeout=LOOK_AGAIN_MS,
        yield_on_timeout=True,
        recursive=False,
        force_polling=polling,
        ignore_permission_denied=True,
    )


def _concerns(change: Change, path: str) -> bool:
    """Not the files that a store or a log writes into the same folder."""
    name = Path(path).name
    return name.startswith("..") or name.endswith((".yaml", ".yml")) or Path(path).is_dir()


def _folders(files: Iterable[Path]) -> _Folders:
    """Those that hold the names, and those elsewhere that hold what the names lead to. What they lead to within their
    own folder, as in a ConfigMap, is replaced by a change of the name's."""
    found = set()
    for file in files:
        for folder in (file.parent, file.resolve().parent):
            try:
                known = folder.stat()
            except OSError:
                continue
            if folder == file.parent or not folder.is_relative_to(file.parent.resolve()):
                found.add((str(folder), known.st_dev, known.st_ino))
    return frozenset(found)
