from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import autodenoise
from autodenoise import images, runs
from autodenoise.data.dataset import DataSpec, load
from autodenoise.errors import InputError, OutputError, UsageError
from autodenoise.plots.code_map import project_codes
from autodenoise.runs.run import to_images

SETTINGS = [
    "data.size=[8, 8]",
    "network={name = 'dense', widths = [64, 12, 64]}",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    return autodenoise.train("digits", out, settings=SETTINGS, epochs=20).folder


def test_decoded_images_equal_the_output_of_the_model_file(folder: Path, tmp_path: Path) -> None:
    run = autodenoise.Run.open(folder)
    clean = run.evaluation_images(run.data()).require_clean("a test")[:7]
    (tmp_path / "in").mkdir()
    for index, image in enumerate(clean):
        images.write(tmp_path / "in" / f"digit {index}.png", (image * 255).round().astype(np.uint8))
    codes = runs.encode(folder, str(tmp_path / "in"), tmp_path / "codes.npz")
    assert (codes.count, codes.code, codes.image) == (7, (12,), (1, 8, 8))
    assert codes.ratio == pytest.approx(64 / 12)
    assert codes.file_bytes == (tmp_path / "codes.npz").stat().st_size
    with np.load(tmp_path / "codes.npz") as arrays:
        assert arrays["codes"].shape == (7, 12)
        assert arrays["names"].tolist() == [f"digit {index}" for index in range(7)]
    files = runs.decode(folder, tmp_path / "codes.npz", tmp_path / "out")
    assert [file.name for file in files] == [f"digit {index}.png" for index in range(7)]
    expected = run.model().batch(clean)
    for file, image in zip(files, expected, strict=True):
        pixels = np.asarray(Image.open(file))
        np.testing.assert_allclose(pixels / 255, image[..., 0], atol=0.51 / 255)


def test_codes_of_a_dataset_have_labels_and_a_map(folder: Path, tmp_path: Path) -> None:
    chart = tmp_path / "map.png"
    runs.encode(folder, "digits", tmp_path / "codes.npz", chart=chart)
    with np.load(tmp_path / "codes.npz") as arrays:
        codes, labels, names = arrays["codes"], arrays["labels"], arrays["names"]
    assert len(codes) == len(labels) == 360  # the last fifth: digits have no test part
    assert names[:2].tolist() == ["000", "001"]
    assert len(Image.open(chart).convert("RGB").getcolors(1 << 20) or []) > 10
    # Neighbours in the plane are mostly of one class, which t-SNE was not told.
    plane, _ = project_codes(codes)
    distances = np.square(plane[:, None] - plane[None]).sum(2)
    np.fill_diagonal(distances, np.inf)
    assert (labels[distances.argmin(1)] == labels).mean() > 0.8


@pytest.mark.parametrize("shape", [(1, 5), (2, 5), (9, 1), (12, 1), (12, 2), (12, 2, 2)])
def test_codes_of_any_shape_can_be_mapped(shape: tuple[int, ...]) -> None:
    plane, _ = project_codes(np.random.default_rng(0).random(shape, np.float32))
    assert plane.shape == (shape[0], 2)
    assert plane.min() >= 0
    assert plane.max() <= 1


@pytest.mark.parametrize("network", ["conv", "swift"])
def test_network_without_a_bottleneck_is_an_error(tmp_path: Path, network: str) -> None:
    settings = ["data.size=[8, 8]", f"network={{name = '{network}'}}"]
    run = autodenoise.train("digits", tmp_path / "run", settings=settings, epochs=1)
    with pytest.raises(UsageError, match="has no bottleneck"):
        runs.encode(run.folder, "digits", tmp_path / "codes.npz")
    assert not (tmp_path / "codes.npz").exists()


def test_existing_files_are_not_overwritten(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "map.svg").write_text("mine")
    with pytest.raises(OutputError, match=r"map\.svg exists already"):
        runs.encode(folder, "digits", tmp_path / "codes.npz", chart=tmp_path / "map.svg")
    with pytest.raises(UsageError, match=r"must end in \.npz"):
        runs.encode(folder, "digits", tmp_path / "codes.txt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.svg"]
    runs.encode(folder, "digits", tmp_path / "codes.npz")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "359.png").write_text("mine")
    with pytest.raises(OutputError, match=r"359\.png exists already"):
        runs.decode(folder, tmp_path / "codes.npz", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["359.png"]


def test_codes_of_another_network_are_an_error(folder: Path, tmp_path: Path) -> None:
    runs.encode(folder, "digits", tmp_path / "codes.npz")
    other = autodenoise.train("digits", tmp_path / "run", settings=SETTINGS, epochs=1)
    with pytest.raises(InputError, match="written by another network"):
        runs.decode(other.folder, tmp_path / "codes.npz", tmp_path / "out")
    content = (tmp_path / "codes.npz").read_bytes()
    for name, damaged in (("short.npz", content[:-200]), ("text.npz", b"no archive")):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(InputError, match="cannot read"):
            runs.decode(folder, tmp_path / name, tmp_path / "out")
    np.savez(tmp_path / "strange.npz", codes=np.zeros((2, 12), np.float32))
    with pytest.raises(InputError, match="not a file that autodenoise encode wrote"):
        runs.decode(folder, tmp_path / "strange.npz", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_decoded_files_stay_in_the_output_folder(folder: Path, tmp_path: Path) -> None:
    runs.encode(folder, "digits", tmp_path / "codes.npz")
    with np.load(tmp_path / "codes.npz") as archive:
        arrays = {name: archive[name] for name in archive.files}
    arrays["codes"], arrays["names"] = arrays["codes"][:1], np.array(["../../evil"])
    np.savez(tmp_path / "evil.npz", **arrays)
    (file,) = runs.decode(folder, tmp_path / "evil.npz", tmp_path / "a" / "b")
    assert file == tmp_path / "a" / "b" / "evil.png"
    assert not (tmp_path / "evil.png").exists()


def test_encode_uses_the_weights_of_the_best_epoch(tmp_path: Path) -> None:
    settings = [
        *SETTINGS,
        "keep=best",
        "phase.denoise.optimizer={kind = 'adam', learning_rate = 0.3}",
    ]
    run = autodenoise.train("digits", tmp_path / "run", settings=settings, epochs=8)
    losses = [row.val_loss for row in run.rows]
    assert losses.index(min(losses)) < 7  # else this proves nothing
    runs.encode(run.folder, "digits", tmp_path / "codes.npz")
    files = runs.decode(run.folder, tmp_path / "codes.npz", tmp_path / "out")
    last = load(DataSpec("digits", validation="last", size=(8, 8))).test.images
    expected = run.model().batch(to_images(last[:1]))
    decoded = np.asarray(Image.open(files[0])) / 255
    np.testing.assert_allclose(decoded, expected[0, ..., 0], atol=0.51 / 255)
