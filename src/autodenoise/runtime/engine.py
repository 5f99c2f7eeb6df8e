"""ONNX Runtime, with what it would tell others turned off.

From version 1.29 on its builds send the names and hashes of model files, and how they run, to their
makers, unless this variable is set before the library is loaded (its Privacy.md). Nobody who cleans
a picture here has asked for that.
"""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

# For whoever has loaded it before us.
onnxruntime.disable_telemetry_events()
# What it finds odd about a machine, such as cores that it may not use, is no user's affair.
onnxruntime.set_default_logger_severity(4)

__all__ = ["onnxruntime"]
