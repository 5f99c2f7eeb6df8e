"""Make ``docs/figures/page.jpg``: a screenshot of the local page with its sample, in Chromium.

pip install -c constraints.txt -e '.[dev]'
python benchmarks/page_figure.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

FIGURE = Path(__file__).parent.parent / "docs" / "figures" / "page.jpg"


def main() -> None:
    """Start a server, open the sample, and save a screenshot."""
    server = subprocess.Popen(
        [sys.executable, "-m", "autodenoise", "serve", "--port", "0"],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    address = server.stdout.readline().split()[3]
    arguments = [] if os.geteuid() else ["--no-sandbox"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=arguments
        )
        page = browser.new_page(viewport={"width": 1290, "height": 860})
        page.goto(address)
        page.locator("#sample").click()
        expect(page.locator("#strip li")).to_have_attribute("data-state", "done", timeout=60_000)
        page.locator("#zoom-full").click()
        page.locator("#viewer").press("1")
        for _ in range(4):
            page.locator("#viewer").press("+")
        expect(page.locator("#viewer")).to_have_attribute("aria-busy", "false")
        page.mouse.move(0, 0)
        page.screenshot(path=FIGURE, type="jpeg", quality=88)
        browser.close()
    server.terminate()
    server.wait()


if __name__ == "__main__":
    main()
