"""The page in a real browser, used like a person would."""

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

# Generous, for busy machines.
expect.set_options(timeout=60_000)

_ERROR_RESPONSE = "Failed to load resource"
"""Browsers log each error response, which is not an error of the page."""

_DISPATCH_TRANSFER = """([name, files]) => {
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

_READ_CENTER = """(canvas, [width, height]) => {
  const x = Math.round(canvas.width / 2 - width / 2);
  const y = Math.round(canvas.height / 2 - height / 2);
  return [...canvas.getContext("2d").getImageData(x, y, width, height).data];
}"""


@dataclass
class Visit:
    """A visit of the page.

    Attributes
    ----------
    page
        The browser's page.
    errors
        Uncaught errors of the page, and violations of its security policy.
    """

    page: Page
    errors: list[str] = field(default_factory=list)

    def __call__(self, selector: str) -> Locator:
        """Return the elements that match a CSS selector."""
        return self.page.locator(selector)

    def choose(self, files: Mapping[str, bytes]) -> None:
        """Add files with the file dialog."""
        payloads: list[FilePayload] = [
            {"name": name, "mimeType": "application/octet-stream", "buffer": content}
            for name, content in files.items()
        ]
        self("#choose").set_input_files(payloads)

    def transfer(self, files: Mapping[str, bytes], event: str) -> None:
        """Drop files on the page, or paste them."""
        coded = [(name, base64.b64encode(content).decode()) for name, content in files.items()]
        self.page.evaluate(_DISPATCH_TRANSFER, [event, coded])

    def states(self, *states: str) -> None:
        """Wait until the images of the strip have these states, in order."""
        items = self("#strip li")
        expect(items).to_have_count(len(states))
        for number, state in enumerate(states):
            expect(items.nth(number)).to_have_attribute("data-state", state)

    def view(self, name: str) -> None:
        """Choose a view."""
        self.page.get_by_role("radio", name=name).check()

    def strength(self, percent: int) -> None:
        """Set the strength slider."""
        self("#strength").fill(str(percent))

    def drawn(self, height: int, width: int) -> NDArray[np.int64]:
        """Return the canvas pixels of an image at 100 %: (H, W, 4), without the divider."""
        viewer = self("#viewer")
        expect(viewer).to_have_attribute("aria-busy", "false")
        pixels = viewer.evaluate(_READ_CENTER, [width, height])
        return np.array(pixels).reshape(height, width, 4)

    def download(self, button: str = "#download") -> Download:
        """Press a download button."""
        with self.page.expect_download() as saved:
            self(button).click()
        return saved.value


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start the installed Chromium; skip the test if there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip("no Chromium on PATH")
    # Chromium's sandbox does not work for root, the usual user in containers.
    arguments = [] if os.geteuid() else ["--no-sandbox"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


@contextlib.contextmanager
def visiting(
    browser: Browser, url: str, width: int = 1280, height: int = 800, density: float = 1
) -> Iterator[Visit]:
    """Open the page, and check at the end that it reported no errors."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, device_scale_factor=density
    )
    visit = Visit(context.new_page())
    context.expose_function("noteViolation", lambda text: visit.errors.append(text))
    context.add_init_script(
        "addEventListener('securitypolicyviolation', (event) =>"
        " noteViolation(event.violatedDirective + ' ' + event.blockedURI))"
    )
    visit.page.on("pageerror", lambda error: visit.errors.append(str(error)))
    visit.page.on(
        "console",
        lambda message: (
            visit.errors.append(message.text)
            if message.type == "error" and not message.text.startswith(_ERROR_RESPONSE)
            else None
        ),
    )
    visit.page.goto(url)
    expect(visit("#supported-formats")).not_to_be_empty()
    yield visit
    context.close()
    assert not visit.errors
