"""ONNX Runtime sessions that return intermediate values of a model."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx import ModelProto

from autodenoise.runtime.session import onnxruntime

__all__ = ["session_returning"]


def session_returning(
    model: ModelProto, names: Sequence[str], *, optimize: bool = True
) -> onnxruntime.InferenceSession:
    """Return a CPU session whose outputs include these values. The model is not changed."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    known = {output.name for output in copy.graph.output}
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(
        copy.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
