"""The HTTP API of a real server process: its results equal those of the command line."""

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
from tests.helpers import web_images
from tests.helpers.serving import QUICK, SLOW, RunningServer

FILES = {
    "photo.JPG": web_images.camera_jpeg(),
    "gray.png": web_images.encoded(web_images.noise(40, 50, 1)),
    "deep.tif": web_images.tiff(
        np.random.default_rng(1).integers(0, 65_536, (30, 40, 3), np.uint16),
        photometric="rgb",
        description="as measured",
    ),
    "clear.png": web_images.encoded(web_images.noise(33, 47, 4)),
    "stack.tif": web_images.tiff(
        np.random.default_rng(2).integers(0, 256, (3, 24, 36), np.uint8), photometric="minisblack"
    ),
    "wide.webp": web_images.encoded(web_images.noise(20, 700), "WebP", lossless=True),
    "odd \u202e name?.png": web_images.encoded(web_images.noise(9, 9)),
}


def denoise_by_command_line(
    server: RunningServer,
    folder: Path,
    name: str,
    content: bytes,
    options: DenoiseOptions,
    suffix: str = "",
) -> bytes:
    """Return the bytes that ``autodenoise denoise`` writes."""
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
def test_downloads_equal_the_command_lines_files(
    server: RunningServer, tmp_path: Path, name: str, strength: float
) -> None:
    content = FILES[name]
    expected = denoise_by_command_line(server, tmp_path, name, content, DenoiseOptions(strength))
    at_once = server.client.post(
        "/api/denoise",
        content=content,
        params={"name": name, "model": QUICK, "strength": strength},
    )
    assert at_once.content == expected
    job = server.denoise(content, name=name, model=QUICK)
    later = server.client.get(f"/api/jobs/{job}/result", params={"strength": strength})
    assert later.content == expected
    assert Path(name).suffix in later.headers["content-disposition"]
    for strip in (True, False):
        # Rotated upright or without metadata, in another format or the same.
        options = DenoiseOptions(strength, strip_metadata=strip)
        expected = denoise_by_command_line(server, tmp_path, name, content, options, ".tif")
        saved = server.client.get(
            f"/api/jobs/{job}/result",
            params={"strength": strength, "format": "tif", "strip_metadata": strip},
        )
        assert saved.content == expected


def test_result_in_another_format(server: RunningServer, tmp_path: Path) -> None:
    content = FILES["photo.JPG"]
    options = DenoiseOptions(strip_metadata=True)
    expected = denoise_by_command_line(server, tmp_path, "a.jpg", content, options, ".png")
    params = {"name": "a.jpg", "model": QUICK, "format": "PNG", "strip_metadata": "true"}
    response = server.client.post("/api/denoise", content=content, params=params)
    assert response.content == expected
    assert response.headers["content-type"] == "image/png"
    assert 'filename="a.denoised.png"' in response.headers["content-disposition"]


def test_request_sets_the_range_of_floats(server: RunningServer, tmp_path: Path) -> None:
    content = web_images.floats()
    refused = server.send(content, name="f.tif", model=QUICK)
    assert refused.status_code == 422
    message = refused.json()["detail"]
    assert message.startswith("f.tif has float32 samples of unknown intensity range")
    half = server.send(content, name="f.tif", model=QUICK, black=3)
    assert half.status_code == 400
    assert half.json()["detail"] == "expected both black and white, or neither"
    job = server.denoise(content, name="f.tif", model=QUICK, black=0, white=4095)
    options = DenoiseOptions(0.5, IntensityRange(0, 4095))
    expected = denoise_by_command_line(server, tmp_path, "f.tif", content, options)
    saved = server.client.get(f"/api/jobs/{job}/result", params={"strength": 0.5})
    assert saved.content == expected


def test_archive_contains_all_results_under_unique_names(server: RunningServer) -> None:
    files = ("gray.png", "photo.JPG", "gray.png")
    jobs = [server.denoise(FILES[name], name=name, model=QUICK) for name in files]
    strengths = list(zip(jobs, (1, 0.25, 0.5), strict=True))
    items = [{"id": job, "strength": strength} for job, strength in strengths]
    response = server.client.post("/api/archive", json={"images": items})
    assert response.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.testzip() is None
        names = ["gray.denoised.png", "photo.denoised.JPG", "gray.denoised (2).png"]
        assert archive.namelist() == names
        for name, (job, strength) in zip(names, strengths, strict=True):
            alone = server.client.get(f"/api/jobs/{job}/result", params={"strength": strength})
            assert archive.read(name) == alone.content


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        (b"", 422, "the request has no body"),
        (
            b"GIF89a" + bytes(100),
            422,
            "by its first bytes it is not one of PNG",
        ),
        (web_images.bomb(), 422, "declares 60,000 x 60,000 pixels in a file of"),
        (FILES["photo.JPG"][:300], 422, "it.png"),
    ],
)
@pytest.mark.parametrize("path", ["/api/jobs", "/api/denoise"])
def test_invalid_files_are_rejected(
    server: RunningServer, path: str, content: bytes, status: int, message: str
) -> None:
    before = server.stable_files()
    response = server.client.post(path, content=content, params={"name": "it.png", "model": QUICK})
    assert response.status_code == status
    assert message in response.json()["detail"]
    assert str(server.temporary) not in response.text
    server.wait_for_files(before)


def test_damaged_file_fails_without_stopping_others(server: RunningServer) -> None:
    content = web_images.encoded(web_images.noise(300, 300))[:-5000]
    message = server.wait_finished(server.send(content, name="cut.png", model=QUICK).json()["id"])
    assert message["state"] == "failed"
    assert message["error"].startswith("cut.png is damaged or cut off")
    response = server.client.get(f"/api/jobs/{message['id']}/result")
    assert (response.status_code, response.json()["detail"]) == (422, message["error"])
    assert server.denoise(FILES["gray.png"], model=QUICK)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"model": "quik.onnx"}, "unknown model 'quik.onnx'; did you mean 'quick.onnx'?"),
        ({"model": "../home/quick.onnx"}, "unknown model"),
        ({"black": 5, "white": 5}, "expected an intensity range from black to white"),
        ({"black": "dark"}, "black: Input should be a valid number"),
        ({"axes": "QQ"}, "one different letter for each dimension"),
        ({"strength": 1.5}, "strength: Input should be less than or equal to 1"),
        ({"format": "bmp"}, "bmp"),
    ],
)
def test_invalid_parameters_are_rejected(
    server: RunningServer, parameters: dict[str, Any], message: str
) -> None:
    # The response arrives although the upload is not complete.
    response = server.client.post(
        "/api/denoise", content=bytes(30_000_000), params={"model": QUICK, **parameters}
    )
    assert response.status_code == 400
    assert message in response.json()["detail"]


def test_incompatible_formats_are_rejected(server: RunningServer) -> None:
    job = server.denoise(FILES["clear.png"], name="clear.png", model=QUICK)
    assert server.state(job)["formats"] == [".png", ".tif", ".webp", ".avif"]
    response = server.client.get(f"/api/jobs/{job}/result", params={"format": "jpg"})
    assert response.status_code == 422
    assert "JPEG cannot hold the transparency of clear.png" in response.json()["detail"]
    assert len(server.state(job)["formats"]) == 4


def test_cancelling_frees_worker_and_disk(server: RunningServer) -> None:
    before = server.stable_files()
    large = server.send(web_images.large(), name="large.png", model=SLOW).json()
    waiting = server.send(FILES["gray.png"], model=QUICK).json()["id"]
    never = server.send(FILES["gray.png"], model=QUICK).json()["id"]
    assert large["tiles"] > 20
    server.wait_started(large["id"])
    assert server.state(never) | {"state": "waiting", "ahead": 2} == server.state(never)
    response = server.client.get(f"/api/jobs/{large['id']}/result")
    assert (response.status_code, response.json()["detail"]) == (
        409,
        "large.png is not finished yet; try again later",
    )
    for job in (never, large["id"]):
        assert server.client.delete(f"/api/jobs/{job}").status_code == 204
        assert server.client.get(f"/api/jobs/{job}").status_code == 404
    assert server.wait_finished(waiting)["state"] == "done"
    server.client.delete(f"/api/jobs/{waiting}")
    server.wait_for_files(before)


def test_disconnecting_cancels_the_job(server: RunningServer) -> None:
    with pytest.raises(httpx.ReadTimeout):
        server.client.post(
            "/api/denoise",
            content=web_images.large(),
            params={"model": SLOW},
            timeout=httpx.Timeout(120, read=1),
        )
    # The slow job would take minutes.
    assert server.denoise(FILES["gray.png"], model=QUICK)


def test_progress_counts_tiles(server: RunningServer) -> None:
    job = server.send(web_images.large(), name="large.png", model=SLOW).json()
    message = server.wait_started(job["id"])
    while not message["tiles_done"]:
        message = server.state(job["id"])
    assert message["state"] == "working"
    assert 1 <= message["tiles_done"] < message["tiles"]
    assert message["seconds_left"] > 0
    server.client.delete(f"/api/jobs/{job['id']}")


def test_models_are_listed_with_their_cards(server: RunningServer) -> None:
    models = {model["name"]: model for model in server.client.get("/api/models").json()}
    assert [name for name, model in models.items() if model["default"]] == ["photo-real-color"]
    assert ["network", "box; 9 parameters"] in models[QUICK]["about"]
    labels = [label for label, _ in models["photo-real-color"]["about"]]
    assert labels == ["network", "images", "trained on", "scores", "not for", "source", "license"]


def test_names_are_not_used_as_paths(server: RunningServer) -> None:
    before = {*server.folder.rglob("*"), *server.folder.parent.glob("*")}
    for name in ("../../up.png", "/etc/up.png", "..\\up.png", "a/../up.png"):
        params = {"name": name, "model": QUICK}
        response = server.client.post("/api/denoise", content=FILES["gray.png"], params=params)
        assert 'filename="up.denoised.png"' in response.headers["content-disposition"]
    assert {*server.folder.rglob("*"), *server.folder.parent.glob("*")} == before


def test_names_do_not_depend_on_existing_files(server: RunningServer) -> None:
    (server.folder / "taken.png").mkdir()
    for name, message in (("taken.png", "taken"), ("界" * 150 + ".png", "")):
        params = {"name": name, "model": QUICK}
        response = server.client.post("/api/denoise", content=FILES["gray.png"], params=params)
        assert response.status_code == 200
        assert f"{message}.denoised.png" in unquote(response.headers["content-disposition"])


def test_removing_during_download_gives_the_whole_file_or_an_error(server: RunningServer) -> None:
    for _ in range(6):
        before = server.stable_files()
        job = server.denoise(FILES["photo.JPG"], name="a.jpg", model=QUICK)

        def fetch(strength: float, job: str = job) -> tuple[int, int]:
            response = server.client.get(f"/api/jobs/{job}/result", params={"strength": strength})
            return response.status_code, len(response.content)

        with ThreadPoolExecutor(5) as executor:
            responses = [executor.submit(fetch, strength) for strength in (1, 0.5, 1, 0.5)]
            executor.submit(server.client.delete, f"/api/jobs/{job}")
        assert {response.result()[0] for response in responses} <= {200, 404, 409}
        server.wait_for_files(before)


@pytest.mark.parametrize("byte_range", ["bytes=99999999-", "bytes=nonsense", "bytes=0-9"])
def test_range_requests_leave_no_files(server: RunningServer, byte_range: str) -> None:
    job = server.denoise(FILES["photo.JPG"], name="a.jpg", model=QUICK)
    address = f"/api/jobs/{job}/result?strength=0.5"
    before = server.stable_files()
    whole = server.client.get(address).content
    response = server.client.get(address, headers={"Range": byte_range})
    assert response.status_code in (206, 400, 416)
    assert response.status_code != 206 or response.content == whole[:10]
    # It is deleted after the response has been sent.
    server.wait_for_files(before)
    server.client.delete(f"/api/jobs/{job}")


def test_archive_rejects_duplicates(server: RunningServer) -> None:
    job = server.denoise(FILES["gray.png"], model=QUICK)
    body = {"images": [{"id": job}, {"id": job, "strength": 0.5}]}
    response = server.client.post("/api/archive", json=body)
    assert (response.status_code, response.json()["detail"]) == (400, "an image is listed twice")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Field required"),
        (b"images=1", "the body is not valid JSON: Expecting value"),
        (b'{"images": 1}', "images: Input should be a valid list"),
    ],
)
def test_invalid_bodies_are_explained(server: RunningServer, content: bytes, message: str) -> None:
    headers = {"Content-Type": "application/json"}
    response = server.client.post("/api/archive", content=content, headers=headers)
    assert response.status_code == 400
    assert message in response.json()["detail"]


@pytest.mark.parametrize(
    "path", ["before/9", "before/0/9/0/0", "before/0/0/99/0", "before/0/0/0/7"]
)
def test_missing_pages_and_tiles_are_not_found(server: RunningServer, path: str) -> None:
    job = server.denoise(FILES["gray.png"], model=QUICK)
    assert server.client.get(f"/api/jobs/{job}/{path}").status_code == 404
    assert server.client.get(f"/api/jobs/{job}/before/{'9' * 300}").status_code == 400


def test_openapi_description_and_docs_page(server: RunningServer) -> None:
    message = server.client.get("/openapi.json").json()
    assert set(message["paths"]) >= {"/api/denoise", "/api/jobs", "/api/models", "/api/archive"}
    body = message["paths"]["/api/denoise"]["post"]["requestBody"]
    assert body["content"]["application/octet-stream"]["schema"]["format"] == "binary"
    assert "/swagger/swagger-ui-bundle.js" in server.client.get("/docs").text
    for file in ("/swagger/swagger-ui-bundle.js", "/swagger/swagger-ui.css", "/static/api.js"):
        assert server.client.get(file).status_code == 200


def test_deprecated_json_fields_are_still_supported(server: RunningServer) -> None:
    job = server.denoise(FILES["gray.png"], name="gray.png", model=QUICK)
    state = server.state(job)
    assert state["picture"] == state["image"]
    assert state["shown"] == state["display_range"]
    assert state["image"]["colours"] == state["image"]["colors"] == 1
    limits = server.client.get("/api/limits").json()
    assert limits["endings"] == limits["suffixes"]
    response = server.client.post("/api/archive", json={"pictures": [{"id": job}]})
    assert response.headers["content-type"] == "application/zip"
