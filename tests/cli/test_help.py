"""The help texts, and advice about unknown commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer.main

from autodenoise import weights
from autodenoise.cli import app
from tests.helpers.command_line import run

GROUP: Any = typer.main.get_command(app)


def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return a help page without frames and line breaks."""
    monkeypatch.setenv("COLUMNS", "100")
    assert run(monkeypatch, *words, "--help") == 0
    return " ".join(capsys.readouterr().out.replace("\N{BOX DRAWINGS LIGHT VERTICAL}", " ").split())


def test_commands_are_grouped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(monkeypatch, capsys)
    first_words = ["Use a model", "denoise Denoise", "Train \N{BOX DRAWINGS LIGHT HORIZONTAL}"]
    first_words += ["tune Search", "Measure \N{BOX DRAWINGS LIGHT HORIZONTAL}", "evaluate Score"]
    places = [text.index(words) for words in first_words]
    assert places == sorted(places)
    assert "<bool>" not in text


@pytest.mark.parametrize("name", sorted(GROUP.commands))
def test_help_is_complete(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(monkeypatch, capsys, name)
    assert "<bool>" not in text
    for parameter in GROUP.commands[name].params:
        if not parameter.hidden:
            sentence = parameter.help.replace("\\[", "[")
            assert "".join(sentence.split()) in "".join(text.split())


def test_default_model_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"[default: ({next(iter(weights.FILES))})]" in shown(monkeypatch, capsys, "denoise")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("photo.jpg", "autodenoise denoise photo.jpg"),
        ("my photo.TIF", "autodenoise denoise 'my photo.TIF'"),
        ("folder", "autodenoise denoise folder"),
        ("mine.toml", "autodenoise train mine.toml"),
        ("net.keras", "autodenoise import net.keras"),
    ],
)
def test_file_instead_of_a_command_suggests_a_command(
    name: str,
    advice: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("mine.toml").touch()
    Path("net.keras").touch()
    assert run(monkeypatch, name) == 2
    assert capsys.readouterr().err.endswith(f"run: {advice}\n")


def test_former_options_are_accepted_with_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "import", "no.keras", "--takes", "0", "255", "--gives", "0", "1") == 3
    notes = capsys.readouterr().err.splitlines()
    assert notes[0] == "note: --takes is deprecated; use --input-range"
    assert notes[1] == "note: --gives is deprecated; use --output-range"
    assert notes[2].startswith("autodenoise: no.keras cannot be imported")
