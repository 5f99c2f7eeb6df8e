from __future__ import annotations

from pathlib import Path

import pytest

from autodenoise import recipes
from autodenoise.noise import (
    NOISES,
    AnyNoise,
    Blur,
    Camera,
    CorrelatedGaussian,
    Gaussian,
    Grain,
    Jpeg,
    Measured,
    Mixture,
    Part,
    Poisson,
    PoissonGaussian,
    SaltPepper,
    Scan,
    Speckle,
    Uniform,
)
from autodenoise.recipes import description as words
from autodenoise.training.optimizers import AdamW
from autodenoise.training.phases import Phase

SAID: list[tuple[AnyNoise, str]] = [
    (Gaussian(0.4, clip=True), "Gaussian noise of sigma 0.4, clipped to [0, 1]"),
    (Gaussian((0.1, 0.5)), "Gaussian noise of sigma 0.1 to 0.5 (drawn for each image)"),
    (Uniform(0.9), "Uniform noise from 0 to 0.9"),
    (Uniform(0.9, symmetric=True), "Uniform noise of up to \N{PLUS-MINUS SIGN}0.9"),
    (Blur(1.5), "Gaussian blur of sigma 1.5 pixels"),
    (Poisson(40.0), "Shot noise at 40 photons for white"),
    (PoissonGaussian(40.0, 0.1), "Shot noise at 40 photons for white, and read noise of sigma 0.1"),
    (SaltPepper(0.05), "Salt and pepper on a share of 0.05 of the values"),
    (Speckle(0.2), "Speckle of sigma 0.2, in proportion to the brightness"),
    (Jpeg(30.0), "JPEG at quality 30"),
    (
        Camera((-4.0, -2.0), smoothing=0.5),
        (
            "Camera noise, in raw light of a variance whose log10 at white is -4 to -2 (drawn for "
            "each image), smoothed by 0.5 pixels"
        ),
    ),
    (
        CorrelatedGaussian(0.1, 0.8),
        "Gaussian noise of sigma 0.1, smoothed by 0.8 pixels, with channels that correlate by 0",
    ),
    (
        Grain(0.05, 0.8, 1.0),
        "Film grain of up to 0.05, 0.8 pixels wide, with channels that correlate by 1",
    ),
    (
        Scan(0.01, 2.0, 0.02),
        "Scanned: dust on a share of 0.01 of the area, 2 scratches, rows banded by 0.02",
    ),
    (
        Measured((0.0, 1.0), ((0.01, 0.03), (0.02, 0.025)), (((1.0,),), ((0.0,),), ((1.0,),))),
        "Noise as it was measured, of sigma 0.01 to 0.03",
    ),
    (
        Measured((0.5,), ((0.02,),), (((1.0,),),), (0.5, 2.0)),
        "Noise as it was measured, of sigma 0.02 times 0.5 to 2 (drawn for each image)",
    ),
    (
        Mixture(
            (
                Part(1.0),
                Part(2.0, (SaltPepper((0.0, 0.1)), Mixture((Part(1.0), Part(1.0, (Jpeg(9.0),)))))),
                Part(1.0, (Gaussian(0.1), Blur(2.0))),
            )
        ),
        (
            "One of these for each image, with strengths drawn for it: 25% nothing; 50% salt and "
            "pepper on a share of 0 to 0.1 of the values, then one of (50% nothing; 50% JPEG at "
            "quality 9); 25% Gaussian noise of sigma 0.1, then Gaussian blur of sigma 2 pixels"
        ),
    ),
]


@pytest.mark.parametrize(("noise", "said"), SAID)
def test_a_corruption_in_words(noise: AnyNoise, said: str) -> None:
    assert words.noise(noise) == said


def test_every_corruption_has_words() -> None:
    assert {type(noise) for noise, _ in SAID} == set(NOISES.values())


def test_a_phase_in_words() -> None:
    conv, swift = recipes.load("conv-mnist"), recipes.load("swift-mnist")
    assert words.phase(conv.phase["reconstruct"]) == [
        "Learns clean to clean: 50 epochs in batches of 128.",
        "Minimises binary cross-entropy by Adam at learning rate 0.001, constant.",
    ]
    assert words.phase(conv.phase["denoise"])[-1] == "Every image keeps one noisy version."
    _, minimises, noise = words.phase(swift.phase["denoise"])
    assert "Muon at learning rate 0.02 and AdamW at 0.008 beside it, rising and" in minimises
    assert noise == "An image gets new noise each time it is seen."
    short = words.phase(Phase(1, loss="mse", optimizer=AdamW(), patience=3))
    assert short[0] == (
        "Learns noisy to clean: 1 epoch in batches of 128, fewer if the validation loss has not "
        "fallen for 3."
    )
    assert "mean squared error by AdamW" in short[1]
    photo = recipes.load("photo-fast-color", minutes=30).phase["large"]
    learns, minimises, *others = words.phase(photo)
    assert learns == ("Learns noisy to clean: 4.29 minutes in batches of 4 squares of 192 pixels.")
    assert "mean squared error by Muon at learning rate 0.0006 and AdamW at 0.0002" in minimises
    assert minimises.endswith("falling along a cosine.")
    assert others == [
        "An image gets new noise each time it is seen.",
        "Keeps an average of the weights, 0.999 of it from before a step.",
        "Multiplies in bfloat16 where the machine can.",
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("conv-mnist", "MNIST, validated on its test images"),
        ("maxnorm-mnist", "MNIST, the last 20% held back for validation"),
        ("dense-fashion", "the test part of Fashion-MNIST, a random 20% held back for validation"),
        (
            "digits",
            "scikit-learn's digits, resized to 28x28, a random 20% held back for validation",
        ),
        (
            "blur-mnist",
            (
                "MNIST, validated on its test images; each image comes 4 times an epoch; "
                "validation images stay clean"
            ),
        ),
    ],
)
def test_the_data_in_words(name: str, said: str) -> None:
    assert words.data(recipes.load(name)) == said


def test_a_data_set_of_ones_own_is_named_without_its_folders() -> None:
    assert words.source("fashion-mnist") == "Fashion-MNIST"
    assert words.source(str(Path("/home/somebody/letters.npz"))) == "letters.npz"
