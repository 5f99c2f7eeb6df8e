"""The names of `autodenoise`: their declarations agree, former ones work, examples run."""

from __future__ import annotations

import ast
import doctest
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autodenoise
from autodenoise import DenoiseOptions, IntensityRange, OwnData
from autodenoise.errors import UsageError


def test_every_public_name_exists_and_has_a_docstring() -> None:
    assert len(autodenoise.__all__) == len(set(autodenoise.__all__)) == 35
    assert dir(autodenoise) == sorted(autodenoise.__all__)
    for name in autodenoise.__all__:
        assert getattr(autodenoise, name).__doc__
    missing = "paint"
    with pytest.raises(AttributeError, match="no attribute 'paint'"):
        getattr(autodenoise, missing)


def test_type_checkers_see_the_same_names() -> None:
    stub = Path(autodenoise.__file__).with_suffix(".pyi")
    imported = [
        (f"{statement.module}", alias.name)
        for statement in ast.parse(stub.read_text()).body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    ]
    assert {name for _, name in imported} == {*autodenoise.__all__} - {"__version__"}


@pytest.mark.parametrize(
    ("former", "current"),
    [("Options", "DenoiseOptions"), ("Own", "OwnData"), ("Scale", "IntensityRange")],
)
def test_former_names_work_with_a_warning(former: str, current: str) -> None:
    with pytest.warns(DeprecationWarning, match=f"use autodenoise.{current}$"):
        found = getattr(autodenoise, former)
    assert found.__name__ == current


def test_former_keywords_work_with_a_warning(tmp_path: Path) -> None:
    noisy = np.random.default_rng(0).normal(500, 100, (40, 50))
    expected = autodenoise.denoise(noisy, intensity_range=IntensityRange(0, 1000))
    former: dict[str, Any] = {"scale": IntensityRange(0, 1000)}
    with pytest.warns(DeprecationWarning, match="scale is deprecated; use intensity_range"):
        np.testing.assert_array_equal(autodenoise.denoise(noisy, **former), expected)
    with pytest.warns(DeprecationWarning, match="deprecated"):
        options = vars(autodenoise)["__getattr__"]("Options")(**former)
    assert options == DenoiseOptions(intensity_range=IntensityRange(0, 1000))
    own: dict[str, Any] = {"own": OwnData("noisy-only", tmp_path), "epochs": 0}
    with (
        pytest.warns(DeprecationWarning, match="own is deprecated; use own_data"),
        pytest.raises(UsageError, match="epochs is 0"),
    ):
        autodenoise.train(None, tmp_path / "run", **own)


@pytest.mark.parametrize("name", [None, *autodenoise.__all__])
def test_examples_run(name: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    documented = autodenoise if name is None else inspect.unwrap(getattr(autodenoise, name))
    finder = doctest.DocTestFinder(recurse=False)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    examples = finder.find(documented, str(name))
    if isinstance(documented, type):
        for attribute, value in vars(documented).items():
            if inspect.isfunction(value):
                examples += finder.find(value, attribute)
    for example in examples:
        assert runner.run(example).failed == 0
