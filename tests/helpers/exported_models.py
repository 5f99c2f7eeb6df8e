"""Cards for exported networks, and the memory that their models need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from autodenoise import nets, runtime

__all__ = ["card", "measured_bytes_per_pixel"]


def card(network: nets.Autoencoder, name: str) -> runtime.Card:
    """Return a card that fits a network for gray images of 28x28."""
    return runtime.Card(
        name=f"my-{name}",
        network=name,
        channels=1,
        parameters=nets.parameter_count(network),
        size=(28, 28) if network.multiple is None else None,
        size_multiple=network.multiple or 1,
        halo=nets.halo(network),
        noise=[{"kind": "gaussian", "sigma": 0.4}],
    )


def measured_bytes_per_pixel(model: Path, channels: int, side: int) -> float:
    """Return the bytes per pixel by which a process grows when it runs a model."""
    program = (
        "import re, sys\n"
        "import numpy as np\n"
        "from pathlib import Path\n"
        "from autodenoise.runtime import load\n"
        # Not the peak of the resource module, which a child inherits from its parent.
        "status = Path('/proc/self/status')\n"
        "peak = lambda: 1024 * int(re.search(r'VmHWM:\\s*(\\d+)', status.read_text())[1])\n"
        "path, channels, side = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])\n"
        "model = load(path)\n"
        "image = np.ones((1, side, side, channels), np.float32)\n"
        "before = peak()\n"
        "for _ in range(2): model.batch(image)\n"
        "print((peak() - before) / side**2)\n"
    )
    command = [sys.executable, "-c", program, str(model), str(channels), str(side)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
