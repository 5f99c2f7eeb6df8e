"""The layers of the package: a folder imports only folders above it."""

from __future__ import annotations

import ast
from pathlib import Path

import autodenoise

PACKAGE = Path(autodenoise.__file__).parent
LAYERS = [
    *("errors", "files", "locks", "signals", "system", "metrics", "weights", "images"),
    *("discovery", "runtime", "noise", "nets", "data", "training", "export", "keras_import"),
    *("evaluation", "plots", "noise_estimation", "benchmark", "recipes", "runs", "tuning"),
    *("web", "cli", "__init__", "__main__"),
]
# The former module of the benchmark forwards to its new place until the next release.
FORWARDS = {"evaluation/benchmark.py"}
WITHOUT_TORCH = LAYERS[: LAYERS.index("runtime") + 1]


def imported(file: Path) -> set[str]:
    """Return the modules that a file imports anywhere, for type checking too."""
    modules = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "autodenoise":
            modules |= {f"autodenoise.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            modules.add(node.module)
    return modules


def layer(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_folders_import_only_folders_above_them() -> None:
    upward = []
    for file in sorted(PACKAGE.rglob("*.py")):
        name = file.relative_to(PACKAGE).as_posix()
        for module in imported(file):
            target = module.removeprefix("autodenoise.").partition(".")[0]
            ours = module.startswith("autodenoise.") and target in LAYERS and name not in FORWARDS
            if ours and LAYERS.index(target) > LAYERS.index(layer(file)):
                upward.append(f"{name} imports {module}")
    assert upward == []


def test_every_module_has_a_layer() -> None:
    assert {layer(file) for file in PACKAGE.rglob("*.py")} <= set(LAYERS)


def test_denoising_never_imports_torch() -> None:
    for file in PACKAGE.rglob("*.py"):
        if layer(file) in WITHOUT_TORCH:
            assert not any(module.split(".")[0] == "torch" for module in imported(file)), file


def test_folders_hold_few_modules() -> None:
    for folder in (PACKAGE, *(path for path in PACKAGE.rglob("*") if path.is_dir())):
        modules = [file for file in folder.glob("*.py") if file.name != "__init__.py"]
        most = 20 if folder.name == "cli" else 16
        assert len(modules) <= most, folder
