"""The HTTP API of a real server process: what it gives is what the command line gives."""

from __future__ import annotations

import io
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import numpy as np
import pytest

from autodenoise.images import IntensityRange
from autodenoise.runtime import DenoiseOptions, denoise_files, load
from tests.helpers import web_pictures as pictures
from tests.helpers.serving import QUICK, SLOW, Serving

FILES = {
    "photo.JPG": pictures.camera_jpeg(),
    "grey.png": pictures.encoded(pictures.noise(40, 50, 1)),
    "deep.tif": pictures.tiff(
        np.random.default_rng(1).integers(0, 65_536, (30, 40, 3), np.uint16),
        photometric="rgb",
        description="as measured",
    ),
    "clear.png": pictures.encoded(pictures.noise(33, 47, 4)),
    "stack.tif": pictures.tiff(
        np.random.default_rng(2).integers(0, 256, (3, 24, 36), np.uint8), photometric="minisblack"
    ),
    "wide.webp": pictures.encoded(pictures.noise(20, 700), "WebP", lossless=True),
    "odd \u202e name?.png": pictures.encoded(pictures.noise(9, 9)),
}


def on_the_command_line(
    server: Serving,
    folder: Path,
    name: str,
    content: bytes,
    options: DenoiseOptions,
    suffix: str = "",
) -> bytes:
    """Give the bytes that ``autodenoise denoise`` writes."""
    source = folder / f"source{Path(name).suffix}"
    source.write_bytes(content)
    target = folder / f"target{suffix or source.suffix}"
    target.unlink(missing_ok=True)
    summary = denoise_files(load(server.folder / QUICK), [(source, target)], options)
    assert summary.error is None
    return target.read_bytes()


@pytest.mark.parametrize(
    ("name", "strength"),
    [*((name, 0.35) for name in FILES), ("photo.JPG", 0), ("photo.JPG", 1)],
)
def test_downloads_are_the_files_that_the_command_line_writes(
    server: Serving, tmp_path: Path, name: str, strength: float
) -> None:
    content = FILES[name]
    expected = on_the_command_line(server, tmp_path, name, content, DenoiseOptions(strength))
    at_once = server.client.post(
        "/api/denoise",
        content=content,
        params={"name": name, "model": QUICK, "strength": strength},
    )
    assert at_once.content == expected
    job = server.done(content, name=name, model=QUICK)
    later = server.client.get(f"/api/jobs/{job}/result", params={"strength": strength})
    assert later.content == expected
    assert Path(name).suffix in later.headers["content-disposition"]
    for kept in (False, True):
        # Turned upright or without metadata, as another format or the same.
        options = DenoiseOptions(strength, strip_metadata=not kept)
        expected = on_the_command_line(server, tmp_path, name, content, options, ".tif")
        saved = server.client.get(
            f"/api/jobs/{job}/result",
            params={"strength": strength, "format": "tif", "strip_metadata": not kept},
        )
        assert saved.content == expected


def test_a_picture_can_be_asked_for_in_another_format(server: Serving, tmp_path: Path) -> None:
    content = FILES["photo.JPG"]
    options = DenoiseOptions(strip_metadata=True)
    expected = on_the_command_line(server, tmp_path, "a.jpg", content, options, ".png")
    params = {"name": "a.jpg", "model": QUICK, "format": "PNG", "strip_metadata": "true"}
    answer = server.client.post("/api/denoise", content=content, params=params)
    assert answer.content == expected
    assert answer.headers["content-type"] == "image/png"
    assert 'filename="a.denoised.png"' in answer.headers["content-disposition"]


def test_floats_take_their_range_from_the_request(server: Serving, tmp_path: Path) -> None:
    content = pictures.floats()
    refused = server.send(content, name="f.tif", model=QUICK)
    assert refused.status_code == 422
    told = refused.json()["detail"]
    assert told.startswith("f.tif has float32 samples, whose range only you know")
    half = server.send(content, name="f.tif", model=QUICK, black=3)
    assert half.status_code == 400
    assert half.json()["detail"] == "give both black and white, or neither"
    job = server.done(content, name="f.tif", model=QUICK, black=0, white=4095)
    options = DenoiseOptions(0.5, IntensityRange(0, 4095))
    expected = on_the_command_line(server, tmp_path, "f.tif", content, options)
    saved = server.client.get(f"/api/jobs/{job}/result", params={"strength": 0.5})
    assert saved.content == expected


def test_an_archive_holds_each_picture_once(server: Serving) -> None:
    files = ("grey.png", "photo.JPG", "grey.png")
    jobs = [server.done(FILES[name], name=name, model=QUICK) for name in files]
    wanted = list(zip(jobs, (1, 0.25, 0.5), strict=True))
    named = [{"id": job, "strength": strength} for job, strength in wanted]
    answer = server.client.post("/api/archive", json={"pictures": named})
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        names = ["grey.denoised.png", "photo.denoised.JPG", "grey.denoised (2).png"]
        assert archive.namelist() == names
        for name, (job, strength) in zip(names, wanted, strict=True):
            alone = server.client.get(f"/api/jobs/{job}/result", params={"strength": strength})
            assert archive.read(name) == alone.content


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (b"", 422, "no picture came"),
        (
            b"GIF89a" + bytes(100),
            422,
            "by its first bytes it is not one of PNG",
        ),
        (pictures.bomb(), 422, "declares 60,000 x 60,000 pixels in a file of"),
        (FILES["photo.JPG"][:300], 422, "it.png"),
    ],
)
@pytest.mark.parametrize("path", ["/api/jobs", "/api/denoise"])
def test_what_is_no_picture_is_refused(
    server: Serving, path: str, content: bytes, status: int, said: str
) -> None:
    before = server.settled()
    answer = server.client.post(path, content=content, params={"name": "it.png", "model": QUICK})
    assert answer.status_code == status
    assert said in answer.json()["detail"]
    assert str(server.temporary) not in answer.text
    server.settles(before)


def test_a_damaged_picture_fails_and_stops_no_other(server: Serving) -> None:
    content = pictures.encoded(pictures.noise(300, 300))[:-5000]
    said = server.ended(server.send(content, name="cut.png", model=QUICK).json()["id"])
    assert said["state"] == "failed"
    assert said["error"].startswith("cut.png is damaged or cut off")
    answer = server.client.get(f"/api/jobs/{said['id']}/result")
    assert (answer.status_code, answer.json()["detail"]) == (422, said["error"])
    assert server.done(FILES["grey.png"], model=QUICK)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"model": "quik.onnx"}, "unknown model 'quik.onnx'; did you mean 'quick.onnx'?"),
        ({"model": "../home/quick.onnx"}, "unknown model"),
        ({"black": 5, "white": 5}, "expected an intensity range from black to white"),
        ({"black": "dark"}, "black: Input should be a valid number"),
        ({"axes": "QQ"}, "axes are one letter a dimension"),
        ({"strength": 1.5}, "strength: Input should be less than or equal to 1"),
        ({"format": "bmp"}, "bmp"),
    ],
)
def test_requests_that_mean_nothing(server: Serving, parameters: dict[str, Any], said: str) -> None:
    # However much is still being sent, the answer comes through.
    answer = server.client.post(
        "/api/denoise", content=bytes(30_000_000), params={"model": QUICK, **parameters}
    )
    assert answer.status_code == 400
    assert said in answer.json()["detail"]


def test_formats_that_cannot_hold_a_picture_are_refused(server: Serving) -> None:
    job = server.done(FILES["clear.png"], name="clear.png", model=QUICK)
    assert server.state(job)["formats"] == [".png", ".tif", ".webp", ".avif"]
    answer = server.client.get(f"/api/jobs/{job}/result", params={"format": "jpg"})
    assert answer.status_code == 422
    assert "JPEG cannot hold the transparency of clear.png" in answer.json()["detail"]
    assert len(server.state(job)["formats"]) == 4


def test_a_cancelled_picture_frees_the_worker_and_the_disk(server: Serving) -> None:
    before = server.settled()
    large = server.send(pictures.large(), name="large.png", model=SLOW).json()
    waiting = server.send(FILES["grey.png"], model=QUICK).json()["id"]
    never = server.send(FILES["grey.png"], model=QUICK).json()["id"]
    assert large["tiles"] > 20
    server.begun(large["id"])
    assert server.state(never) | {"state": "waiting", "ahead": 2} == server.state(never)
    answer = server.client.get(f"/api/jobs/{large['id']}/result")
    assert (answer.status_code, answer.json()["detail"]) == (409, "large.png is not done yet")
    for job in (never, large["id"]):
        assert server.client.delete(f"/api/jobs/{job}").status_code == 204
        assert server.client.get(f"/api/jobs/{job}").status_code == 404
    assert server.ended(waiting)["state"] == "done"
    server.client.delete(f"/api/jobs/{waiting}")
    server.settles(before)


def test_who_hangs_up_stops_the_work(server: Serving) -> None:
    with pytest.raises(httpx.ReadTimeout):
        server.client.post(
            "/api/denoise",
            content=pictures.large(),
            params={"model": SLOW},
            timeout=httpx.Timeout(120, read=1),
        )
    # It would take minutes.
    assert server.done(FILES["grey.png"], model=QUICK)


def test_progress_is_told_in_tiles(server: Serving) -> None:
    job = server.send(pictures.large(), name="large.png", model=SLOW).json()
    said = server.begun(job["id"])
    while not said["tiles_done"]:
        said = server.state(job["id"])
    assert said["state"] == "working"
    assert 1 <= said["tiles_done"] < said["tiles"]
    assert said["seconds_left"] > 0
    server.client.delete(f"/api/jobs/{job['id']}")


def test_models_are_told_with_their_cards(server: Serving) -> None:
    models = {model["name"]: model for model in server.client.get("/api/models").json()}
    assert [name for name, model in models.items() if model["default"]] == ["photo-real-color"]
    assert ["network", "box, 9 parameters"] in models[QUICK]["about"]
    labels = [label for label, _ in models["photo-real-color"]["about"]]
    assert labels == ["network", "images", "trained on", "scores", "not for", "source", "licence"]


def test_names_are_never_paths(server: Serving) -> None:
    before = {*server.folder.rglob("*"), *server.folder.parent.glob("*")}
    for name in ("../../up.png", "/etc/up.png", "..\\up.png", "a/../up.png"):
        params = {"name": name, "model": QUICK}
        answer = server.client.post("/api/denoise", content=FILES["grey.png"], params=params)
        assert 'filename="up.denoised.png"' in answer.headers["content-disposition"]
    assert {*server.folder.rglob("*"), *server.folder.parent.glob("*")} == before


def test_a_name_is_not_looked_up(server: Serving) -> None:
    (server.folder / "taken.png").mkdir()
    for name, said in (("taken.png", "taken"), ("界" * 150 + ".png", "")):
        params = {"name": name, "model": QUICK}
        answer = server.client.post("/api/denoise", content=FILES["grey.png"], params=params)
        assert answer.status_code == 200
        assert f"{said}.denoised.png" in unquote(answer.headers["content-disposition"])


def test_who_removes_a_picture_under_another_gets_it_whole_or_not_at_all(server: Serving) -> None:
    for _ in range(6):
        before = server.settled()
        job = server.done(FILES["photo.JPG"], name="a.jpg", model=QUICK)

        def fetch(strength: float, job: str = job) -> tuple[int, int]:
            answer = server.client.get(f"/api/jobs/{job}/result", params={"strength": strength})
            return answer.status_code, len(answer.content)

        with ThreadPoolExecutor(5) as people:
            answers = [people.submit(fetch, strength) for strength in (1, 0.5, 1, 0.5)]
            people.submit(server.client.delete, f"/api/jobs/{job}")
        assert {answer.result()[0] for answer in answers} <= {200, 404, 409}
        server.settles(before)


@pytest.mark.parametrize("wanted", ["bytes=99999999-", "bytes=nonsense", "bytes=0-9"])
def test_parts_of_a_file_leave_nothing_behind(server: Serving, wanted: str) -> None:
    job = server.done(FILES["photo.JPG"], name="a.jpg", model=QUICK)
    address = f"/api/jobs/{job}/result?strength=0.5"
    before = server.settled()
    whole = server.client.get(address).content
    answer = server.client.get(address, headers={"Range": wanted})
    assert answer.status_code in (206, 400, 416)
    assert answer.status_code != 206 or answer.content == whole[:10]
    # It is removed when the answer has been sent.
    server.settles(before)
    server.client.delete(f"/api/jobs/{job}")


def test_a_picture_is_packed_once(server: Serving) -> None:
    job = server.done(FILES["grey.png"], model=QUICK)
    wanted = {"pictures": [{"id": job}, {"id": job, "strength": 0.5}]}
    answer = server.client.post("/api/archive", json=wanted)
    assert (answer.status_code, answer.json()["detail"]) == (400, "a picture is asked for twice")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "Field required"),
        (b"pictures=1", "expected JSON, came something else: Expecting value"),
        (b'{"pictures": 1}', "pictures: Input should be a valid list"),
    ],
)
def test_a_request_that_is_not_understood_is_told_why(
    server: Serving, content: bytes, said: str
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = server.client.post("/api/archive", content=content, headers=headers)
    assert answer.status_code == 400
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    "path", ["before/9", "before/0/9/0/0", "before/0/0/99/0", "before/0/0/0/7"]
)
def test_what_a_picture_does_not_have(server: Serving, path: str) -> None:
    job = server.done(FILES["grey.png"], model=QUICK)
    assert server.client.get(f"/api/jobs/{job}/{path}").status_code == 404
    assert server.client.get(f"/api/jobs/{job}/before/{'9' * 300}").status_code == 400


def test_the_api_describes_itself(server: Serving) -> None:
    told = server.client.get("/openapi.json").json()
    assert set(told["paths"]) >= {"/api/denoise", "/api/jobs", "/api/models", "/api/archive"}
    body = told["paths"]["/api/denoise"]["post"]["requestBody"]
    assert body["content"]["application/octet-stream"]["schema"]["format"] == "binary"
    assert "/swagger/swagger-ui-bundle.js" in server.client.get("/docs").text
    for file in ("/swagger/swagger-ui-bundle.js", "/swagger/swagger-ui.css", "/static/api.js"):
        assert server.client.get(file).status_code == 200
