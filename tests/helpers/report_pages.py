"""Parse reports."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import html5lib
import numpy as np
from PIL import Image

__all__ = ["Page", "pixels", "text"]


class Page:
    """A report parsed as a browser parses it; malformed HTML is an error."""

    def __init__(self, path: Path) -> None:
        self.text = path.read_text("utf-8")
        parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
        self.root: Any = parser.parse(self.text)

    def all(self, path: str) -> list[Any]:
        """Return all elements that match an XPath."""
        return list(self.root.findall(f".//{path}"))

    def one(self, path: str) -> Any:
        """Return the only element that matches an XPath."""
        (found,) = self.all(path)
        return found

    def values(self, path: str) -> list[float]:
        """Return the numbers in the elements that match an XPath."""
        return [float(element.get("value")) for element in self.all(f"{path}//data")]


def text(element: Any) -> str:
    """Return the text of an element, with single spaces."""
    return " ".join("".join(element.itertext()).split())


def pixels(address: str) -> np.ndarray[Any, Any]:
    """Return the pixels (H, W, C) of a PNG data URI."""
    kind, _, content = address.partition(",")
    assert kind == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(content, validate=True))) as image:
        array = np.asarray(image)
    return array if array.ndim == 3 else array[..., None]
