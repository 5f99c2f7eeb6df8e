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
    MixturePart,
    Poisson,
    PoissonGaussian,
    SaltPepper,
    Scan,
    Speckle,
    Uniform,
)
from autodenoise.recipes import description
from autodenoise.training.optimizers import AdamW
from autodenoise.training.phases import Phase

PHRASES: list[tuple[AnyNoise, str]] = [
    (Gaussian(0.4, clip=True), "Gaussian noise of sigma 0.4, clipped to [0, 1]"),
    (Gaussian((0.1, 0.5)), "Gaussian noise of sigma 0.1 to 0.5, drawn for each image"),
    (Uniform(0.9), "Uniform noise of amplitude 0.9"),
    (Uniform(0.9, symmetric=True), "Symmetric uniform noise of amplitude 0.9"),
    (Blur(1.5), "Gaussian blur of sigma 1.5 pixels"),
    (Poisson(40.0), "Poisson noise at 40 photons for white"),
    (
        PoissonGaussian(40.0, 0.1),
        "Poisson noise at 40 photons for white and Gaussian noise of sigma 0.1",
    ),
    (SaltPepper(0.05), "Salt and pepper noise in a fraction 0.05 of the values"),
    (Speckle(0.2), "Speckle of sigma 0.2, proportional to the intensity"),
    (Jpeg(30.0), "JPEG compression at quality 30"),
    (
        Camera((-4.0, -2.0), smoothing=0.5),
        (
            "Camera noise with a shot noise variance of 10^(-4 to -2) at white, smoothed over 0.5 "
            "pixels, drawn for each image"
        ),
    ),
    (
        CorrelatedGaussian(0.1, 0.8),
        "Gaussian noise of sigma 0.1, smoothed over 0.8 pixels, with a channel correlation of 0",
    ),
    (
        Grain(0.05, 0.8, 1.0),
        "Film grain of amplitude 0.05 and size 0.8 pixels, with a channel correlation of 1",
    ),
    (
        Scan(0.01, 2.0, 0.02),
        "Scan defects: dust on a fraction 0.01 of the area, 2 scratches, banding of amplitude 0.02",
    ),
    (
        Measured((0.0, 1.0), ((0.01, 0.03), (0.02, 0.025)), (((1.0,),), ((0.0,),), ((1.0,),))),
        "Measured noise of sigma 0.01 to 0.03",
    ),
    (
        Measured((0.5,), ((0.02,),), (((1.0,),),), (0.5, 2.0)),
        "Measured noise of sigma 0.02 times 0.5 to 2, drawn for each image",
    ),
    (
        Mixture(
            (
                MixturePart(1.0),
                MixturePart(
                    2.0,
                    (
                        SaltPepper((0.0, 0.1)),
                        Mixture((MixturePart(1.0), MixturePart(1.0, (Jpeg(9.0),)))),
                    ),
                ),
                MixturePart(1.0, (Gaussian(0.1), Blur(2.0))),
            )
        ),
        (
            "One of (25% no noise; 50% salt and pepper noise in a fraction 0 to 0.1 of the values, "
            "then one of (50% no noise; 50% JPEG compression at quality 9); 25% Gaussian noise of "
            "sigma 0.1, then Gaussian blur of sigma 2 pixels), drawn for each image"
        ),
    ),
]


@pytest.mark.parametrize(("spec", "phrase"), PHRASES)
def test_noise_describes_itself(spec: AnyNoise, phrase: str) -> None:
    assert description.noise(spec) == phrase


def test_every_noise_is_covered() -> None:
    assert {type(spec) for spec, _ in PHRASES} == set(NOISES.values())


def test_phase_is_described() -> None:
    conv, swift = recipes.load("conv-mnist"), recipes.load("swift-mnist")
    assert description.phase(conv.phase["reconstruct"])[1:] == [
        "Trains for 50 epochs in batches of 128.",
        "Minimizes binary cross-entropy by Adam at learning rate 0.001, constant.",
    ]
    assert description.phase(conv.phase["denoise"])[-1] == "Each image keeps one noisy version."
    _, _, minimizes, noise = description.phase(swift.phase["denoise"])
    assert "Muon at learning rate 0.02" in minimizes
    assert minimizes.endswith(", rising and falling in one cycle.")
    assert noise == "Noise is drawn anew each time an image is used."


def test_phase_with_patience_and_minutes_is_described() -> None:
    short = description.phase(Phase(1, loss="mse", optimizer=AdamW(), patience=3))
    assert short[1] == "Trains for 1 epoch in batches of 128."
    assert "mean squared error by AdamW" in short[2]
    assert short[3] == "Stops after 3 epochs without a lower validation loss."
    photo = recipes.load("photo-fast-color", minutes=30).phase["large"]
    _, trains, minimizes, *others = description.phase(photo)
    assert trains == "Trains for 4.29 minutes in batches of 4 crops of 192x192 pixels."
    assert "mean squared error by Muon at learning rate 0.0006" in minimizes
    assert minimizes.endswith("falling along a cosine.")
    assert others == [
        "Noise is drawn anew each time an image is used.",
        "Keeps an exponential moving average of the weights (decay 0.999).",
        "Computes in bfloat16 where the machine supports it.",
    ]


@pytest.mark.parametrize(
    ("name", "phrase"),
    [
        ("conv-mnist", "MNIST; validated on its test images"),
        ("maxnorm-mnist", "MNIST; validated on the last 20%"),
        ("dense-fashion", "the test part of Fashion-MNIST; validated on a random 20%"),
        ("digits", "scikit-learn's digits, resized to 28x28; validated on a random 20%"),
        (
            "blur-mnist",
            "MNIST, each image 4 times per epoch; validated on its test images, without noise",
        ),
    ],
)
def test_data_are_described(name: str, phrase: str) -> None:
    assert description.data(recipes.load(name)) == phrase


def test_path_of_a_dataset_is_shortened_to_its_name() -> None:
    assert description.source("fashion-mnist") == "Fashion-MNIST"
    assert description.source(str(Path("/home/somebody/letters.npz"))) == "letters.npz"
