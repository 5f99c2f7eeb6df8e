"""The model files that come with autodenoise; docs/models.md describes them."""

from __future__ import annotations

from typing import Final

__all__ = ["FILES"]

FILES: Final[dict[str, str]] = {
    "photo-real-color": "photo-real-color.onnx",
    "photo-fast-color": "photo-fast-color.onnx",
    "photo-fast-color-int8": "photo-fast-color-int8.onnx",
    "photo-balanced-color": "photo-balanced-color.onnx",
    "photo-fast-gray": "photo-fast-gray.onnx",
    "photo-fast-gray-int8": "photo-fast-gray-int8.onnx",
    "photo-balanced-gray": "photo-balanced-gray.onnx",
}
"""File names in this folder, by model name; the first is the default model."""
