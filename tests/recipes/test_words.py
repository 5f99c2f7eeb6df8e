from __future__ import annotations

import dataclasses

import pytest

from autodenoise import recipes
from autodenoise.learning.loop import Phase
from autodenoise.learning.optim import OPTIMIZERS, Muon, OneCycle
from autodenoise.noise import NOISES
from autodenoise.recipes.words import data_in_words, noise_in_words, phase_in_words

# A value for each key that a noise must be given.
STRENGTHS = {"sigma": 0.25, "amplitude": 0.75, "peak": 30.0, "amount": 0.1, "quality": 40.0}


@pytest.mark.parametrize(
    ("name", "data", "noise"),
    [
        (
            "conv-mnist",
            "mnist, validated on its test images",
            "Gaussian noise of sigma 0.4, clipped to [0, 1]",
        ),
        (
            "dense-fashion",
            "the test part of fashion-mnist, a random 20% held back for validation",
            "one-sided uniform noise of amplitude 0.9, clipped to [0, 1]",
        ),
        (
            "blur-mnist",
            "mnist, validated on its test images; each image 4 times an epoch",
            (
                "Gaussian blur of sigma 0 to 2 drawn for each image, then two-sided uniform noise "
                "of amplitude 0.01 to 1.5 drawn for each image; validation images stay clean"
            ),
        ),
        (
            "digits",
            "digits, resized to 28x28, a random 20% held back for validation",
            "Gaussian noise of sigma 0.4, clipped to [0, 1]",
        ),
    ],
)
def test_a_recipe_in_words(name: str, data: str, noise: str) -> None:
    recipe = recipes.load(name)
    assert data_in_words(recipe.data) == data
    assert noise_in_words(recipe) == noise


@pytest.mark.parametrize("kind", list(NOISES))
def test_every_noise_has_words_that_tell_its_strength(kind: str) -> None:
    fields = dataclasses.fields(NOISES[kind])
    given = {field.name: STRENGTHS[field.name] for field in fields if field.name in STRENGTHS}
    made = NOISES[kind](**given)
    words = noise_in_words(dataclasses.replace(recipes.load("digits"), noise=(made,)))
    for strength in given.values():
        assert f"{strength:g}" in words
    assert "clipped" not in words


@pytest.mark.parametrize("kind", list(OPTIMIZERS))
def test_every_optimiser_has_words(kind: str) -> None:
    words = phase_in_words(Phase(epochs=1, optimizer=OPTIMIZERS[kind](learning_rate=0.125)))
    assert f"; {kind} at 0.125" in words.lower()
    assert words.startswith("1 epoch in batches of 128: noisy to clean, fresh noise each time")


def test_a_phase_in_words() -> None:
    phase = Phase(
        epochs=7,
        batch_size=32,
        objective="reconstruction",
        loss="mse",
        optimizer=Muon(),
        schedule=OneCycle(),
        patience=3,
    )
    assert phase_in_words(phase) == (
        "7 epochs in batches of 32: clean to clean; mean squared error; Muon at 0.02 and AdamW at "
        "0.008, one cycle; stops after 3 epochs without a lower validation loss"
    )
