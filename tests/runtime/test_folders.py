from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from autodenoise import runtime
from autodenoise.discovery import scan
from autodenoise.errors import InputError, OutputError, UsageError
from autodenoise.runtime.manifest import MANIFEST_NAME
from tests.helpers.image_files import RecordingProgress, content, picture
from tests.helpers.model_files import box_blur


def test_folder_results_equal_those_of_single_files(
    model: runtime.Model, noisy: Path, out: Path, tmp_path: Path
) -> None:
    names = [
        "x" * 251 + ".png",
        "a.png",
        "b.TIF",
        "deep/er/c.png",
        "-rf.png",
        "grün und weiß/日本 1.png",
        "d.jpg",
    ]
    for name in names:
        picture(noisy / name)
    (noisy / "notes.txt").write_text("no picture")
    picture(noisy / ".hidden.png")
    recorded = RecordingProgress()
    summary = runtime.denoise_folder(model, noisy, out, recursive=True, report=recorded)
    assert sorted(content(out)) == sorted(names)
    assert sorted(recorded.done) == sorted(names)
    assert summary == recorded.summary
    assert [skipped.name for skipped in summary.skipped] == ["notes.txt"]
    assert summary.error is None
    assert summary.pixels == len(names) * 48
    for name in names:
        alone = tmp_path / f"alone{Path(name).suffix}"
        runtime.denoise_file(model, noisy / name, alone, overwrite=True)
        assert (out / name).read_bytes() == alone.read_bytes()


def test_subfolders_are_listed_as_skipped_without_recursive(
    model: runtime.Model, noisy: Path, out: Path
) -> None:
    picture(noisy / "a.png")
    picture(noisy / "sub" / "b.png")
    summary = runtime.denoise_folder(model, noisy, out)
    assert list(content(out)) == ["a.png"]
    assert [(p.name, "--recursive" in p.reason) for p in summary.skipped] == [("sub", True)]


def test_results_do_not_depend_on_the_number_of_jobs(
    model: runtime.Model, noisy: Path, tmp_path: Path
) -> None:
    for number in range(200):
        picture(noisy / f"{number % 7}" / f"{number:03}.png")
    mask = os.umask(0o027)
    try:
        for jobs in (1, 4):
            runtime.denoise_folder(model, noisy, tmp_path / f"{jobs}", recursive=True, jobs=jobs)
    finally:
        assert os.umask(mask) == 0o027
    assert len(content(tmp_path / "1")) == 200
    assert content(tmp_path / "1") == content(tmp_path / "4")
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "4").rglob("*.png")}
    assert modes == {0o640}


def test_only_changed_files_are_denoised_again(
    model: runtime.Model, noisy: Path, out: Path, tmp_path: Path
) -> None:
    for name in "abc":
        picture(noisy / f"{name}.png")
    picture(noisy / "d.png", 10)

    def again(
        options: runtime.DenoiseOptions | None = None, other: runtime.Model = model
    ) -> list[str]:
        recorded = RecordingProgress()
        summary = runtime.denoise_folder(other, noisy, out, options, report=recorded)
        assert summary.error is None
        assert summary.unchanged == 4 - len(recorded.done)
        return sorted(recorded.done)

    assert again() == ["a.png", "b.png", "c.png", "d.png"]
    times = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    assert again() == []
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == times
    # The memory to work in decides nothing, nor does a new time alone.
    assert again(runtime.DenoiseOptions(memory=2**30)) == []
    os.utime(noisy / "a.png")
    assert again() == []
    (out / "b.png").unlink()
    picture(noisy / "c.png", 50)
    assert again() == ["b.png", "c.png"]
    # Another content under the same size and time, as out of an archive.
    was = (noisy / "d.png").stat()
    picture(noisy / "d.png", 11)
    os.utime(noisy / "d.png", ns=(was.st_atime_ns, was.st_mtime_ns))
    assert (noisy / "d.png").stat().st_size == was.st_size
    assert again() == ["d.png"]
    half = runtime.DenoiseOptions(strength=0.5)
    assert len(again(half)) == 4
    assert len(again(half, runtime.load(box_blur(tmp_path / "wide.onnx", radius=2)))) == 4


def test_copied_target_folders_are_recognized(
    model: runtime.Model, noisy: Path, out: Path, tmp_path: Path
) -> None:
    picture(noisy / "a.png")
    runtime.denoise_folder(model, noisy, out)
    shutil.copytree(noisy, tmp_path / "in2")
    shutil.copytree(out, tmp_path / "out2", copy_function=shutil.copyfile)
    for _ in range(2):
        assert runtime.denoise_folder(model, tmp_path / "in2", tmp_path / "out2").unchanged == 1
    lines = (tmp_path / "out2" / MANIFEST_NAME).read_text().splitlines()
    assert len(lines) == 2  # its new times were noted once


def test_foreign_files_are_overwritten_only_on_request(
    model: runtime.Model, noisy: Path, out: Path
) -> None:
    for name in "abc":
        picture(noisy / f"{name}.png")
    out.mkdir()
    (out / "a.png").write_bytes(b"precious")
    first = runtime.denoise_folder(model, noisy, out)
    assert isinstance(first.error, OutputError)
    assert f"{out}/a.png exists already" in str(first.error)
    assert len(first.results) == 2
    (out / "b.png").write_bytes(b"retouched")
    other = runtime.DenoiseOptions(strength=0.5)
    second = runtime.denoise_folder(model, noisy, out, other)
    assert [failure.name for failure in second.failures] == ["a.png", "b.png"]
    assert [result.source.name for result in second.results] == ["c.png"]
    assert (out / "a.png").read_bytes() == b"precious"
    assert (out / "b.png").read_bytes() == b"retouched"
    third = runtime.denoise_folder(model, noisy, out, other, overwrite=True)
    assert third.error is None
    assert third.unchanged == 1
    assert runtime.denoise_folder(model, noisy, out, other).unchanged == 3


def test_results_from_another_source_folder_are_not_replaced(
    model: runtime.Model, noisy: Path, out: Path, tmp_path: Path
) -> None:
    for name, value in (("a.png", 10), ("b.png", 20)):
        picture(noisy / name, value)
    picture(tmp_path / "second" / "a.png", 30)
    picture(tmp_path / "second" / "b.png", 20)
    runtime.denoise_folder(model, noisy, out)
    before = content(out)
    summary = runtime.denoise_folder(model, tmp_path / "second", out)
    assert [failure.name for failure in summary.failures] == ["a.png"]
    said = (
        f"{out}/a.png exists already and is the output for {noisy}/a.png; --overwrite replaces it"
    )
    assert said in str(summary.error)
    # Of the same picture, wherever it lies, it is the result.
    assert summary.unchanged == 1
    assert content(out) == before
    other = runtime.denoise_folder(model, tmp_path / "second", out, overwrite=True)
    assert other.error is None
    assert content(out)["a.png"] != before["a.png"]


def test_bad_files_fail_alone_and_are_tried_again(
    model: runtime.Model, noisy: Path, out: Path
) -> None:
    picture(noisy / "good.png")
    (noisy / "empty.png").touch()
    (noisy / "te\nxt.png").write_text("no picture at all")
    whole = picture(noisy / "half.png").read_bytes()
    (noisy / "half.png").write_bytes(whole[:60])
    (noisy / "link.png").symlink_to("nowhere.png")
    (noisy / "self.png").symlink_to("self.png")
    os.mkfifo(noisy / "pipe.png")
    (out / "blocked.png").mkdir(parents=True)
    picture(noisy / "blocked.png")
    for _ in range(2):
        recorded = RecordingProgress()
        summary = runtime.denoise_folder(model, noisy, out, report=recorded)
        bad = ["blocked.png", "empty.png", "half.png", "link.png", "self.png", "te\nxt.png"]
        assert [failure.name for failure in summary.failures] == bad
        assert sorted(recorded.failures) == bad
        assert list(content(out)) == ["good.png"]
        assert isinstance(summary.error, InputError)
        lines = str(summary.error).splitlines()
        assert lines[0] == "6 of 7 files could not be denoised:"
        assert all(name[:2] in line for name, line in zip(bad, lines[1:], strict=True))
        assert [skipped.name for skipped in summary.skipped] == ["pipe.png"]
    (noisy / "half.png").write_bytes(whole)
    assert len(runtime.denoise_folder(model, noisy, out).results) == 1


@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may read everything")
def test_unreadable_files_are_failures(model: runtime.Model, noisy: Path, out: Path) -> None:
    picture(noisy / "a.png").chmod(0)
    picture(noisy / "closed" / "b.png").parent.chmod(0)
    picture(noisy / "c.png")
    summary = runtime.denoise_folder(model, noisy, out, recursive=True)
    (noisy / "closed").chmod(0o700)
    assert [failure.name for failure in summary.failures] == ["closed", "a.png"]
    assert len(summary.results) == 1


def test_unexpected_error_in_one_file_is_reported_and_stops_no_other(
    model: runtime.Model, noisy: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        picture(noisy / f"{name}.png")
    denoise = runtime.denoise_file

    def broken(
        model: runtime.Model, source: Path, *rest: Any, **named: Any
    ) -> runtime.DenoiseResult:
        if source.name == "a.png":
            raise ZeroDivisionError("a bug")
        return denoise(model, source, *rest, **named)

    monkeypatch.setattr("autodenoise.runtime.folders.denoise_file", broken)
    with pytest.raises(ZeroDivisionError):
        runtime.denoise_folder(model, noisy, out, jobs=1)
    assert sorted(content(out)) == ["b.png", "c.png"]

    def hungry(*_: Any, **__: Any) -> runtime.DenoiseResult:
        raise MemoryError

    monkeypatch.setattr("autodenoise.runtime.folders.denoise_file", hungry)
    summary = runtime.denoise_folder(model, noisy, out)
    assert "not enough memory for" in str(summary.error)


def test_linked_folders_are_followed_once(model: runtime.Model, noisy: Path, out: Path) -> None:
    picture(noisy / "real" / "a.png")
    picture(noisy.parent / "elsewhere" / "b.png")
    (noisy / "real" / "loop").symlink_to("..")
    (noisy / "again").symlink_to("real")
    (noisy / "far").symlink_to(noisy.parent / "elsewhere")
    (noisy.parent / "elsewhere" / "back").symlink_to(noisy)
    summary = runtime.denoise_folder(model, noisy, out, recursive=True)
    assert sorted(content(out)) == ["far/b.png", "real/a.png"]
    assert {skipped.name: skipped.reason for skipped in summary.skipped} == {
        "again": "a link to the folder real",
        "far/back": "a link to the folder .",
        "real/loop": "a link to the folder .",
    }


def test_target_inside_the_source_is_not_denoised(model: runtime.Model, noisy: Path) -> None:
    picture(noisy / "a.png")
    for recursive in (True, True, False):
        summary = runtime.denoise_folder(model, noisy, noisy / "clean", recursive=recursive)
        assert not summary.skipped
    assert sorted(content(noisy)) == ["a.png", "clean/a.png"]


def test_files_with_the_same_target_all_fail(model: runtime.Model, noisy: Path, out: Path) -> None:
    for name in ("a.png", "a.tif", "b.png", "c/x.png", "C/X.png"):
        picture(noisy / name)
    summary = runtime.denoise_folder(model, noisy, out, recursive=True, suffix=".tif")
    assert sorted(content(out)) == ["b.tif"]
    names = ["C/X.png", "a.png", "a.tif", "c/x.png"]
    assert [failure.name for failure in summary.failures] == names
    assert isinstance(summary.error, OutputError)
    assert f"{noisy}/a.png and {noisy}/a.tif would both be saved as" in str(summary.error)
    # With endings of their own the two of one name are no rivals.
    assert len(runtime.denoise_folder(model, noisy, out, recursive=True).results) == 3


def test_input_is_never_overwritten(model: runtime.Model, noisy: Path, out: Path) -> None:
    picture(noisy / "a.png")
    picture(noisy / "b.png")
    before = content(noisy)
    out.mkdir()
    (out / "a.png").hardlink_to(noisy / "a.png")
    (out / "b.png").symlink_to(noisy / "a.png")
    summary = runtime.denoise_folder(model, noisy, out, overwrite=True)
    assert [failure.name for failure in summary.failures] == ["a.png", "b.png"]
    assert "is also an input" in str(summary.error)
    swapped = [(noisy / "a.png", out / "new.png"), (noisy / "b.png", noisy / "b.png")]
    summary = runtime.denoise_files(model, swapped, overwrite=True)
    assert [failure.name for failure in summary.failures] == [str(noisy / "b.png")]
    assert content(noisy) == before
    with pytest.raises(UsageError, match="is the input folder"):
        runtime.denoise_folder(model, noisy, out.parent / "out" / ".." / "in", overwrite=True)


def test_earlier_results_are_not_denoised(model: runtime.Model, noisy: Path) -> None:
    for _ in range(2):
        picture(noisy / "a.png")
        sources = sorted(noisy.iterdir())
        summary = runtime.denoise_files(model, runtime.output_pairs(sources, None), overwrite=True)
        assert len(summary.results) == 1
    assert [skipped.name for skipped in summary.skipped] == [str(noisy / "a.denoised.png")]
    assert sorted(content(noisy)) == ["a.denoised.png", "a.png"]


def test_invalid_arguments_raise(
    model: runtime.Model, noisy: Path, out: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="cannot read the folder"):
        runtime.denoise_folder(model, noisy, out)
    (noisy / "sub").mkdir(parents=True)
    with pytest.raises(
        InputError, match="contains no image files; skipped sub: a folder, which --recursive"
    ):
        runtime.denoise_folder(model, noisy, out)
    picture(noisy / "a.png")
    (tmp_path / "file").touch()
    for target in (tmp_path / "file", Path("/proc/nothing")):
        with pytest.raises(OutputError, match="cannot create the folder"):
            runtime.denoise_folder(model, noisy, target)
    with pytest.raises(UsageError, match=r"unsupported suffix \.xyz"):
        runtime.denoise_folder(model, noisy, out, suffix=".xyz")
    (out / MANIFEST_NAME).mkdir(parents=True)
    with pytest.raises(OutputError, match="cannot write"):
        runtime.denoise_folder(model, noisy, out)
    with pytest.raises(UsageError, match="jobs is 0"):
        runtime.denoise_folder(model, noisy, tmp_path / "other", jobs=0)


@pytest.mark.parametrize("tear", [b'{"source": "b.p', b"\0\0\0", b'{"source": 1}\n[]\n\n\xff\n'])
def test_damaged_manifest_lines_are_ignored(
    model: runtime.Model, noisy: Path, out: Path, tear: bytes
) -> None:
    picture(noisy / "a.png")
    runtime.denoise_folder(model, noisy, out)
    manifest = out / MANIFEST_NAME
    with manifest.open("ab") as file:
        file.write(tear)
    picture(noisy / "b.png")
    assert runtime.denoise_folder(model, noisy, out).unchanged == 1
    summary = runtime.denoise_folder(model, noisy, out)
    assert (summary.unchanged, summary.error) == (2, None)
    if not tear.endswith(b"\n"):
        assert len([json.loads(line) for line in manifest.read_text().splitlines()]) == 2


def test_second_process_is_refused(model: runtime.Model, noisy: Path, out: Path) -> None:
    picture(noisy / "a.png")
    complaints: list[OutputError] = []

    class Second(RecordingProgress):
        def finished(self, task: runtime.FileTask, result: runtime.DenoiseResult | None) -> None:
            super().finished(task, result)
            with pytest.raises(OutputError, match="another autodenoise process is using") as raised:
                runtime.denoise_folder(model, noisy, out)
            complaints.append(raised.value)

    assert runtime.denoise_folder(model, noisy, out, report=Second()).error is None
    assert len(complaints) == 1
    assert runtime.denoise_folder(model, noisy, out).unchanged == 1


def test_output_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    a, b = Path("a.jpg"), Path("x/b.tar.png")
    assert runtime.output_pairs([a, b], None) == [
        (a, Path("a.denoised.jpg")),
        (b, Path("x/b.tar.denoised.png")),
    ]
    assert runtime.output_pairs([a], "c.png") == [(a, Path("c.png"))]
    assert runtime.output_pairs([a], "new/") == [(a, Path("new/a.jpg"))]
    assert runtime.output_pairs([a], "new") == [(a, Path("new/a.jpg"))]
    assert runtime.output_pairs([a, b], "two") == [
        (a, Path("two/a.jpg")),
        (b, Path("two/b.tar.png")),
    ]
    Path("file").touch()
    with pytest.raises(OutputError, match="cannot create the folder"):
        runtime.output_pairs([a, b], "file")
    assert runtime.default_output(Path("new")) == Path("new.denoised")
    assert runtime.default_output(Path()) == tmp_path.with_name(f"{tmp_path.name}.denoised")


def test_scan_skips_manifest_and_hidden_files(tmp_path: Path) -> None:
    picture(tmp_path / "b.png")
    picture(tmp_path / "a" / "z.png")
    picture(tmp_path / ".autodenoise-unfinished" / "y.png")
    (tmp_path / MANIFEST_NAME).touch()
    found = scan(tmp_path, recursive=True, exclude=tmp_path / "none")
    assert found.images == [Path("a/z.png"), Path("b.png")]
    assert not found.skipped


def test_manifest_keeps_the_option_names_of_earlier_versions(
    model: runtime.Model, noisy: Path, out: Path
) -> None:
    picture(noisy / "a.png")
    runtime.denoise_folder(model, noisy, out, runtime.DenoiseOptions(strength=0.5))
    # As version 0.1 wrote it: other names would denoise all earlier results again.
    options = {"strength": 0.5, "scale": None, "axes": None, "strip_metadata": False}
    (line,) = (out / MANIFEST_NAME).read_text().splitlines()
    assert json.loads(line)["making"]["options"] == options
