"""A real browser for tests and pictures: the machine's own Chromium, which downloads nothing."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.needs import needs

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = needs(CHROMIUM, "Chromium", "apt-get install chromium")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip


@contextmanager
def browsing(width: int = 1280, height: int = 800, **options: Any) -> Iterator[Any]:
    """A page of a fresh browser; an error in a script, or anything asked of another host, fails the test."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        page: Any = context.new_page()
        page.wrong = []
        page.on("pageerror", lambda error: page.wrong.append(str(error)))
        page.on("console", lambda said: page.wrong.append(said.text) if "Content Security" in said.text else None)
        page.on("request", lambda one: None if "://127.0.0.1:" in one.url else page.wrong.append(one.url))
        try:
            yield page
            assert not page.wrong
        finally:
            context.close()
            browser.close()
