from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from autodenoise.data import dataset as datasets
from autodenoise.data.gathering import match_names
from autodenoise.data.repeats import find_originals, find_series
from autodenoise.data.spec import DataSpec


def test_denoised_outputs_are_skipped(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for name in ("a.png", "b.png", "a.denoised.png", "b.denoised.tif", "alone.denoised.png"):
        Image.fromarray(draw.integers(0, 256, (48, 48), np.uint8)).save(tmp_path / name)
    splits = datasets.load(
        DataSpec(str(tmp_path), supervision="noisy-only", crop=16, validation="random")
    )
    assert splits.train.size + splits.validation.size == 3
    (note,) = splits.notes
    assert "skipped 2" in note
    assert "a.denoised.png: written by denoise, from another image here" in note


def test_denoised_outputs_are_not_shots(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for name in ("a.png", "b.png", "a.denoised.png"):
        Image.fromarray(draw.integers(0, 256, (48, 48), np.uint8)).save(tmp_path / name)
    found = find_series(tmp_path)
    assert [series.shots for series in found.samples] == [2]
    assert [passed.name for passed in found.skipped] == ["a.denoised.png"]


def test_skipped_names_that_are_not_utf8_can_be_printed(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xe9t\xe9.png")
    try:
        (tmp_path / name).write_bytes(b"not an image")
    except OSError:
        pytest.skip("this file system takes text alone")
    for other in ("a.png", "b.png"):
        noise = np.random.default_rng(len(other)).integers(0, 256, (48, 48), np.uint8)
        Image.fromarray(noise).save(tmp_path / other)
    splits = datasets.load(
        DataSpec(str(tmp_path), supervision="noisy-only", crop=16, validation="random")
    )
    (note,) = (note for note in splits.notes if "skipped" in note)
    assert r"\udce9t\udce9.png" in note
    assert note.encode()


def test_figures_of_training_runs_are_skipped(tmp_path: Path) -> None:
    for name in ("a.png", "runs/one/figures/denoised.png", "runs/two/a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (48, 48)).save(tmp_path / name)
    for name in ("recipe.toml", "environment.json"):
        (tmp_path / "runs/one" / name).write_text("")
    # Run folders may be inside the folder of images.
    (tmp_path / "runs/two/recipe.toml").write_text("")
    found = find_originals(tmp_path)
    assert [str(name) for name in found.images] == ["a.png", "runs/two/a.png"]
    reasons = {passed.name: passed.reason for passed in found.skipped}
    assert reasons["runs/one/figures/denoised.png"] == "a figure of a training run"


words = st.text("ab.-_ ä", min_size=1, max_size=4).filter(lambda word: word.strip(". ") != "")
names = st.builds(
    lambda folder, word, suffix: f"{folder}{word}{suffix}",
    st.sampled_from(["", "a/", "b/c/"]),
    words,
    st.sampled_from([".png", ".tif", ".PNG"]),
)
folders = st.lists(names, unique=True, max_size=8)


def stem(name: str) -> str:
    return PurePosixPath(name).with_suffix("").as_posix()


@given(folders, folders)
def test_every_name_is_matched_or_listed_once(first: list[str], second: list[str]) -> None:
    pairs, unmatched, ambiguous = match_names(first, second)
    for side, given_names in enumerate((first, second)):
        matched = [pair[side] for pair in pairs]
        assert sorted([*matched, *unmatched[side], *ambiguous[side]]) == sorted(given_names)


@given(folders, folders)
def test_pairs_differ_only_in_their_suffixes(first: list[str], second: list[str]) -> None:
    pairs, unmatched, ambiguous = match_names(first, second)
    for one, other in pairs:
        assert PurePosixPath(one).parent == PurePosixPath(other).parent
        assert one.rpartition(".")[0] == other.rpartition(".")[0]
    stems = {stem(name) for name in first} & {stem(name) for name in second}
    assert not {stem(name) for side in unmatched for name in side} & stems
    assert {stem(name) for side in ambiguous for name in side} <= stems


@given(folders, folders)
def test_matching_is_symmetric(first: list[str], second: list[str]) -> None:
    there, back = match_names(first, second), match_names(second, first)
    assert set(there[0]) == {(one, other) for other, one in back[0]}
    assert there[1] == back[1][::-1]
    assert {*there[2][0]} == {*back[2][1]}


def test_equal_names_with_two_suffixes_are_ambiguous() -> None:
    pairs, unmatched, ambiguous = match_names(
        ["a.png", "a.tif", "b.png", "sub/a.png"], ["a.png", "b.jpg", "A.png"]
    )
    assert pairs == [("b.png", "b.jpg")]
    assert ambiguous == (("a.png", "a.tif"), ("a.png",))
    assert unmatched == (("sub/a.png",), ("A.png",))
