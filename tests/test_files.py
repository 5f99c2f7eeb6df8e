from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from autodenoise.errors import OutputError
from autodenoise.files import make_folder, replacing, write_bytes, write_text


def test_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "scores.json"
    write_text(target, "old")

    def write_half() -> None:
        with replacing(target) as temporary:
            temporary.write_text("ne")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        write_half()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_any_valid_name_can_be_written(tmp_path: Path) -> None:
    longest = tmp_path / ("x" * 251 + ".txt")
    write_text(longest, "whole")
    assert longest.read_text() == "whole"


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_text(tmp_path / "ours", "")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_full_disk_is_an_error_and_leaves_no_file(tmp_path: Path) -> None:
    # A limit on file size fails in write() as a full disk does, for real and without privileges.
    program = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from autodenoise.errors import OutputError\n"
        "from autodenoise.files import write_bytes\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n"
        "    write_bytes(Path(sys.argv[1]), bytes(5000))\n"
        "except OutputError as error:\n"
        "    sys.exit(f'refused: {error}')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "big")], capture_output=True, text=True
    )
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1000
    assert done.stderr.startswith("refused: cannot write")
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        write_bytes(tmp_path / "missing" / "file", b"")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot create the folder"):
        make_folder(tmp_path / "file" / "below")
