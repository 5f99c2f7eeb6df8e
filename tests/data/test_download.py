from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from autodenoise.data import dataset as data
from autodenoise.data import idx
from autodenoise.data.download import download
from autodenoise.errors import InputError

CONTENT = bytes(range(256)) * 2000
SECONDS = 2  # how long a stalled connection is waited for


class Mirror:
    """A file server with a list of failures, one per request; the last one repeats."""

    def __init__(self, *moods: str, files: dict[str, bytes] | None = None) -> None:
        self.moods, self.files = list(moods), files or {"file.gz": CONTENT}
        self.ranges: list[str | None] = []
        self.over = threading.Event()

    @contextmanager
    def serving(self) -> Iterator[str]:
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

            def do_GET(self) -> None:
                mirror.answer(self)

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/file.gz"
        finally:
            self.over.set()
            server.shutdown()
            server.server_close()
            thread.join()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        mood = self.moods.pop(0) if len(self.moods) > 1 else self.moods[0]
        wanted = request.headers.get("Range")
        self.ranges.append(wanted)
        if mood == "missing":
            request.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        if mood == "no ranges":
            start = 0
        content = self.files[request.path.removeprefix("/")]
        body = content[start:]
        if mood == "corrupt":
            body = bytes(len(body))
        request.send_response(206 if start else 200)
        if start:
            size = len(content)
            request.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if mood in ("truncate", "stall"):
            body = body[: len(body) // 2]
        request.wfile.write(body)
        request.wfile.flush()
        if mood == "stall":
            self.over.wait(30)


def is_content(path: Path) -> bool:
    return path.read_bytes() == CONTENT


def fetch(target: Path, *mirrors: Mirror) -> None:
    if not mirrors:
        raise AssertionError("no mirror")
    addresses: list[str] = []
    with mirrors[0].serving() as first:
        addresses.append(first)
        if len(mirrors) == 1:
            download(addresses, target, is_content, timeout=SECONDS)
            return
        with mirrors[1].serving() as second:
            addresses.append(second)
            download(addresses, target, is_content, timeout=SECONDS)


def test_download_from_first_mirror(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    mirror = Mirror("well")
    with mirror.serving() as address:
        download(
            [address],
            tmp_path / "new" / "file.gz",
            is_content,
            lambda name, done, total: seen.append((name, done, total)),
        )
    assert (tmp_path / "new" / "file.gz").read_bytes() == CONTENT
    assert seen[-1] == ("file.gz", len(CONTENT), len(CONTENT))
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


@pytest.mark.parametrize("mood", ["truncate", "stall"])
def test_interrupted_download_resumes(tmp_path: Path, mood: str) -> None:
    mirror = Mirror(mood, "well")
    fetch(tmp_path / "file.gz", mirror)
    assert mirror.ranges == [None, f"bytes={len(CONTENT) // 2}-"]
    assert (tmp_path / "file.gz").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["file.gz"]


def test_later_call_resumes_download(tmp_path: Path) -> None:
    mirror = Mirror("truncate", "missing", "well")
    with mirror.serving() as address:
        with pytest.raises(InputError, match="cannot download"):
            download([address], tmp_path / "file.gz", is_content, timeout=SECONDS)
        assert not (tmp_path / "file.gz").exists()
        download([address], tmp_path / "file.gz", is_content, timeout=SECONDS)
    assert mirror.ranges[-1] == f"bytes={len(CONTENT) // 2}-"
    assert is_content(tmp_path / "file.gz")


def test_server_without_range_support_sends_whole_file(tmp_path: Path) -> None:
    fetch(tmp_path / "file.gz", Mirror("truncate", "no ranges"))
    assert is_content(tmp_path / "file.gz")


@pytest.mark.parametrize("mood", ["corrupt", "missing", "stall", "truncate"])
def test_second_mirror_is_tried(tmp_path: Path, mood: str) -> None:
    fetch(tmp_path / "file.gz", Mirror(mood), Mirror("well"))
    assert is_content(tmp_path / "file.gz")


def test_corrupt_download_is_deleted_and_error_names_the_folder(tmp_path: Path) -> None:
    target = tmp_path / "mnist" / "file.gz"
    with pytest.raises(InputError) as caught:
        fetch(target, Mirror("corrupt"), Mirror("missing"))
    message = str(caught.value)
    assert "wrong checksum" in message
    assert "404" in message
    assert str(target.parent) in message
    assert "AUTODENOISE_DATA" in message
    assert not list(target.parent.iterdir())


def test_dataset_is_downloaded_once_into_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = b"".join(n.to_bytes(4, "big") for n in (5, 28, 28))
    contents = {
        f"{part}-{kind}-ubyte": content
        for part in ("train", "t10k")
        for kind, content in (
            ("images-idx3", b"\0\0\x08\x03" + sizes + bytes(5 * 784)),
            ("labels-idx1", b"\0\0\x08\x01" + sizes[:4] + bytes([3, 1, 4, 1, 5])),
        )
    }
    mirror = Mirror(
        "well", files={f"{name}.gz": gzip.compress(text) for name, text in contents.items()}
    )
    digests = {name: hashlib.sha256(text).hexdigest() for name, text in contents.items()}
    monkeypatch.delenv("AUTODENOISE_DATA", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda _: tmp_path / "cache")
    with mirror.serving() as address:
        folder = address.removesuffix("file.gz")
        published = idx.IdxSet((folder,), digests, idx.IDX_SETS["mnist"].classes)
        monkeypatch.setitem(idx.IDX_SETS, "mnist", published)
        splits = data.load(data.DataSpec("mnist"))
        assert splits.train.images.shape == (5, 1, 28, 28)
        assert splits.train.labels is not None
        assert splits.train.labels.tolist() == [3, 1, 4, 1, 5]
        assert len(mirror.ranges) == 4
        data.load(data.DataSpec("mnist"))
        assert len(mirror.ranges) == 4
