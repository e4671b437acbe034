"""A page in Chromium over its debugging pipe."""

from __future__ import annotations

import os

import pytest

from loadtests.devtools import Chromium
from tests.browser import program
from tests.servers import eventually


def test_a_page_is_led_and_looked_into() -> None:
    path = program()
    if path is None:
        assert not os.environ.get("PENSTOCK_REQUIRE_SERVICES"), "chromium is missing; .ci/run shows how to get it"
        pytest.skip("chromium is missing")
    with Chromium(path) as browser:
        browser.tell_page("Page.navigate", url="data:text/html,<title>here</title>")
        wanted = {"expression": "document.title", "returnByValue": True}
        eventually(lambda: browser.tell_page("Runtime.evaluate", **wanted)["result"]["value"] == "here")
        assert browser.tell_page("Runtime.getHeapUsage")["usedSize"] > 0
        kinds = {process["type"] for process in browser.ask("SystemInfo.getProcessInfo")["processInfo"]}
        assert {"browser", "renderer"} <= kinds
        with pytest.raises(RuntimeError, match="Page"):
            browser.tell_page("Page.nothing")
