"""The server's behavior at its limits."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.helpers import web_images
from tests.helpers.serving import QUICK, SLOW, RunningServer, running_server

GRAY = web_images.encoded(web_images.noise(40, 50, 1))
LIMITS = {"max_waiting": 3, "max_upload_bytes": 2_000_000, "max_pixels": 40_000_000}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("small"), **LIMITS) as running:
        yield running


def test_full_queue_rejects_until_a_place_is_free(small: RunningServer) -> None:
    first = small.send(web_images.large(), name="large.png", model=SLOW).json()["id"]
    small.wait_started(first)
    waiting = [small.send(GRAY, model=QUICK).json()["id"] for _ in range(2)]
    for path in ("/api/jobs", "/api/denoise"):
        # The whole body was sent; otherwise the response would be lost.
        response = small.client.post(path, content=bytes(1_900_000), params={"model": QUICK})
        assert response.status_code == 503
        assert response.headers["retry-after"] == "2"
        assert response.json()["detail"] == "busy with 3 images; try again in a moment"
    small.client.delete(f"/api/jobs/{waiting[1]}")
    late = small.send(GRAY, model=QUICK).raise_for_status().json()
    assert late["ahead"] == 2
    small.client.delete(f"/api/jobs/{first}")
    for job in (waiting[0], late["id"]):
        assert small.wait_finished(job)["state"] == "done"
        small.client.delete(f"/api/jobs/{job}")


@pytest.mark.parametrize("path", ["/api/jobs", "/api/denoise"])
def test_upload_size_is_limited(small: RunningServer, path: str) -> None:
    declared = small.client.post(path, content=bytes(2_000_001))
    # Without Content-Length, received bytes are counted.
    counted = small.client.post(path, content=(bytes(1000) for _ in range(2001)))
    for response in (declared, counted):
        assert response.status_code == 413
        assert "the file is larger than 2,000,000 bytes" in response.json()["detail"]
    small.wait_for_upload(uploading=False)


def test_pixel_count_is_limited(small: RunningServer) -> None:
    response = small.send(web_images.large(7000), name="large.png", model=SLOW)
    assert response.status_code == 422
    assert (
        "large.png has 49,000,000 pixels; this server accepts 40,000,000"
        in response.json()["detail"]
    )


def test_jobs_run_in_order(small: RunningServer) -> None:
    first = small.send(web_images.large(), model=SLOW).json()["id"]
    second = small.send(GRAY, model=QUICK).json()["id"]
    third = small.send(web_images.large(), model=SLOW).json()["id"]
    assert [small.state(job)["ahead"] for job in (first, second, third)] == [0, 1, 2]
    small.client.delete(f"/api/jobs/{first}")
    small.wait_started(third)
    assert small.state(second)["state"] == "done"
    for job in (second, third):
        small.client.delete(f"/api/jobs/{job}")


def test_hundred_concurrent_clients_get_their_own_result_or_503(small: RunningServer) -> None:
    def clean(seed: int) -> tuple[int, bytes]:
        content = web_images.encoded(np.full((30, 40), seed, np.uint8))
        with httpx.Client(base_url=small.url, timeout=120) as client:
            response = client.post("/api/denoise", content=content, params={"model": QUICK})
        return response.status_code, response.content

    with ThreadPoolExecutor(100) as executor:
        responses = list(executor.map(clean, range(100)))
    taken = [(seed, response) for seed, (status, response) in enumerate(responses) if status == 200]
    assert {status for status, _ in responses} <= {200, 503}
    assert len(taken) >= LIMITS["max_waiting"]
    for seed, response in taken:
        # Without the border, which the model pads with zeros.
        middle = np.asarray(Image.open(io.BytesIO(response)))[1:-1, 1:-1]
        assert (middle == seed).all()
    assert small.send(GRAY, model=QUICK).status_code == 202


def test_expect_100_continue_is_answered_before_the_upload(small: RunningServer) -> None:
    there = httpx.URL(small.url)
    head = (
        b"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
        b"Content-Length: 5000000000\r\n\r\n"
    )
    with socket.create_connection((there.host, there.port)) as sender:
        sender.sendall(head)
        assert sender.makefile("rb").readline().startswith(b"HTTP/1.1 413")


def test_body_size_of_other_requests_is_limited(small: RunningServer) -> None:
    body = {"images": [{"id": "a" * 2_000_000}]}
    response = small.client.post("/api/archive", json=body)
    assert response.status_code == 400


def test_slow_uploads_are_aborted(tmp_path: Path) -> None:
    def slowly() -> Iterator[bytes]:
        for _ in range(100):
            yield b"."
            time.sleep(0.01)

    with running_server(
        tmp_path, upload_timeout_seconds=0.5, max_upload_bytes=1_000, min_bytes_per_second=10**9
    ) as server:
        response = server.client.post("/api/jobs", content=slowly())
        assert response.status_code == 408
        assert response.json()["detail"] == "the upload is too slow; send the image again"


@pytest.mark.parametrize("disconnect", [False, True])
def test_stalled_uploads_are_aborted(tmp_path: Path, disconnect: bool) -> None:
    with running_server(tmp_path, max_waiting=1, upload_timeout_seconds=1) as server:
        there = httpx.URL(server.url)
        head = b"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
        with socket.create_connection((there.host, there.port)) as sender:
            sender.sendall(head + bytes(10))
            server.wait_for_upload()
            if not disconnect:
                message = sender.makefile("rb").read()
                assert message.startswith(b"HTTP/1.1 408")
                assert b"no data for 1 second" in message
        server.wait_for_upload(uploading=False)
        assert server.denoise(GRAY, model=QUICK)


def test_number_of_stored_jobs_is_limited(tmp_path: Path) -> None:
    with running_server(tmp_path, max_jobs=2) as server:
        jobs = [server.denoise(GRAY, model=QUICK) for _ in range(2)]
        response = server.send(GRAY, model=QUICK)
        assert response.status_code == 503
        assert "no space left beside 2 stored images" in response.json()["detail"]
        server.client.delete(f"/api/jobs/{jobs[0]}")
        assert server.send(GRAY, model=QUICK).status_code == 202
