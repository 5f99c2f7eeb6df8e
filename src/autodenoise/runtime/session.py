"""ONNX Runtime with telemetry disabled."""

from __future__ import annotations

import os

# From version 1.29 on, ONNX Runtime sends the names and hashes of model files, and statistics of
# their runs, to its makers unless this variable is set before the import (see its Privacy.md).
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

# In case another library imported ONNX Runtime first.
onnxruntime.disable_telemetry_events()
# Fatal errors only: users cannot act on warnings about cores that the process may not use.
onnxruntime.set_default_logger_severity(4)

__all__ = ["onnxruntime"]
