"""The page in a real browser, as somebody uses it."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest
from playwright.sync_api import expect, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray
    from playwright.sync_api import Browser, Download, FilePayload, Locator, Page

__all__ = ["Visit", "chromium", "visiting"]

# However busy the machine is: it is what is waited for that counts.
expect.set_options(timeout=60_000)

_AN_ANSWER = "Failed to load resource"
"""The browser notes each answer that says no; the page is not at fault for it."""

_BRING = """([name, files]) => {
  const transfer = new DataTransfer();
  for (const [name, content] of files) {
    const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    transfer.items.add(new File([bytes], name));
  }
  const event = { bubbles: true, cancelable: true };
  if (name === "paste") event.clipboardData = transfer;
  else event.dataTransfer = transfer;
  const kind = name === "paste" ? ClipboardEvent : DragEvent;
  document.body.dispatchEvent(new kind(name, event));
}"""

_MIDDLE = """(canvas, [width, height]) => {
  const x = Math.round(canvas.width / 2 - width / 2);
  const y = Math.round(canvas.height / 2 - height / 2);
  return [...canvas.getContext("2d").getImageData(x, y, width, height).data];
}"""


@dataclass
class Visit:
    """Somebody at the page.

    Attributes
    ----------
    page
        The browser's.
    wrong
        What the page did that it should not: violations of its policy, uncaught errors.
    """

    page: Page
    wrong: list[str] = field(default_factory=list)

    def __call__(self, selector: str) -> Locator:
        """Find what a CSS selector names."""
        return self.page.locator(selector)

    def choose(self, files: Mapping[str, bytes]) -> None:
        """Take files with the button for it."""
        payloads: list[FilePayload] = [
            {"name": name, "mimeType": "application/octet-stream", "buffer": content}
            for name, content in files.items()
        ]
        self("#choose").set_input_files(payloads)

    def transfer(self, files: Mapping[str, bytes], event: str) -> None:
        """Drop files on the page, or paste them."""
        coded = [(name, base64.b64encode(content).decode()) for name, content in files.items()]
        self.page.evaluate(_BRING, [event, coded])

    def states(self, *states: str) -> None:
        """Wait until the pictures of the strip are in these states, in order."""
        items = self("#strip li")
        expect(items).to_have_count(len(states))
        for number, state in enumerate(states):
            expect(items.nth(number)).to_have_attribute("data-state", state)

    def view(self, name: str) -> None:
        """Look at the picture in another way."""
        self.page.get_by_role("radio", name=name).check()

    def strength(self, percent: int) -> None:
        """Move the slider."""
        self("#strength").fill(str(percent))

    def drawn(self, height: int, width: int) -> NDArray[np.int64]:
        """Give what the canvas shows of a picture at 100 %: (H, W, 4), without the divider."""
        viewer = self("#viewer")
        expect(viewer).to_have_attribute("aria-busy", "false")
        pixels = viewer.evaluate(_MIDDLE, [width, height])
        return np.array(pixels).reshape(height, width, 4)

    def download(self, button: str = "#download") -> Download:
        """Press a button that saves."""
        with self.page.expect_download() as saved:
            self(button).click()
        return saved.value


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start the Chromium that is installed; skip where none is."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip("no Chromium on PATH")
    # Its sandbox refuses to be started by root, as whom containers run.
    arguments = [] if os.geteuid() else ["--no-sandbox"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


@contextlib.contextmanager
def visiting(
    browser: Browser, url: str, width: int = 1280, height: int = 800, density: float = 1
) -> Iterator[Visit]:
    """Open the page; when the visit ends, see that it did nothing wrong."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, device_scale_factor=density
    )
    visit = Visit(context.new_page())
    context.expose_function("noteViolation", lambda said: visit.wrong.append(said))
    context.add_init_script(
        "addEventListener('securitypolicyviolation', (event) =>"
        " noteViolation(event.violatedDirective + ' ' + event.blockedURI))"
    )
    visit.page.on("pageerror", lambda error: visit.wrong.append(str(error)))
    visit.page.on(
        "console",
        lambda said: (
            visit.wrong.append(said.text)
            if said.type == "error" and not said.text.startswith(_AN_ANSWER)
            else None
        ),
    )
    visit.page.goto(url)
    expect(visit("#endings")).not_to_be_empty()
    yield visit
    context.close()
    assert not visit.wrong
