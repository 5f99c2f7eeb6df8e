"""What the server does when more is asked of it than it takes on."""

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

from tests.helpers import web_pictures as pictures
from tests.helpers.serving import QUICK, SLOW, Serving, serving

GREY = pictures.encoded(pictures.noise(40, 50, 1))
LIMITS = {"waiting": 3, "upload_bytes": 2_000_000, "pixels": 40_000_000}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("small"), **LIMITS) as running:
        yield running


def test_a_full_queue_says_so_and_takes_more_when_there_is_room(small: Serving) -> None:
    first = small.send(pictures.large(), name="large.png", model=SLOW).json()["id"]
    small.begun(first)
    waiting = [small.send(GREY, model=QUICK).json()["id"] for _ in range(2)]
    for path in ("/api/jobs", "/api/denoise"):
        # What is refused has been sent to its end, or the answer would be lost.
        answer = small.client.post(path, content=bytes(1_900_000), params={"model": QUICK})
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "2"
        assert answer.json()["detail"] == "busy with 3 pictures; try again in a moment"
    small.client.delete(f"/api/jobs/{waiting[1]}")
    late = small.send(GREY, model=QUICK).raise_for_status().json()
    assert late["ahead"] == 2
    small.client.delete(f"/api/jobs/{first}")
    for job in (waiting[0], late["id"]):
        assert small.ended(job)["state"] == "done"
        small.client.delete(f"/api/jobs/{job}")


@pytest.mark.parametrize("path", ["/api/jobs", "/api/denoise"])
def test_uploads_have_a_size(small: Serving, path: str) -> None:
    told = small.client.post(path, content=bytes(2_000_001))
    # Without a length, in chunks, it is counted.
    counted = small.client.post(path, content=(bytes(1000) for _ in range(2001)))
    for answer in (told, counted):
        assert answer.status_code == 413
        assert "the file has more than 2,000,000 bytes" in answer.json()["detail"]
    small.receives(uploading=False)


def test_pictures_have_a_size(small: Serving) -> None:
    answer = small.send(pictures.large(7000), name="large.png", model=SLOW)
    assert answer.status_code == 422
    assert "large.png has 49,000,000 pixels, and 40,000,000 are the most" in answer.json()["detail"]


def test_pictures_are_done_in_the_order_in_which_they_came(small: Serving) -> None:
    first = small.send(pictures.large(), model=SLOW).json()["id"]
    second = small.send(GREY, model=QUICK).json()["id"]
    third = small.send(pictures.large(), model=SLOW).json()["id"]
    assert [small.state(job)["ahead"] for job in (first, second, third)] == [0, 1, 2]
    small.client.delete(f"/api/jobs/{first}")
    small.begun(third)
    assert small.state(second)["state"] == "done"
    for job in (second, third):
        small.client.delete(f"/api/jobs/{job}")


def test_a_hundred_at_once_get_their_own_answer_or_are_told_to_wait(small: Serving) -> None:
    def clean(seed: int) -> tuple[int, bytes]:
        content = pictures.encoded(np.full((30, 40), seed, np.uint8))
        with httpx.Client(base_url=small.url, timeout=120) as client:
            answer = client.post("/api/denoise", content=content, params={"model": QUICK})
        return answer.status_code, answer.content

    with ThreadPoolExecutor(100) as people:
        answers = list(people.map(clean, range(100)))
    taken = [(seed, answer) for seed, (status, answer) in enumerate(answers) if status == 200]
    assert {status for status, _ in answers} <= {200, 503}
    assert len(taken) >= LIMITS["waiting"]
    for seed, answer in taken:
        # Away from the border, where there are zeros around.
        middle = np.asarray(Image.open(io.BytesIO(answer)))[1:-1, 1:-1]
        assert (middle == seed).all()
    assert small.send(GREY, model=QUICK).status_code == 202


def test_who_asks_before_sending_need_not_send(small: Serving) -> None:
    there = httpx.URL(small.url)
    head = (
        b"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
        b"Content-Length: 5000000000\r\n\r\n"
    )
    with socket.create_connection((there.host, there.port)) as sender:
        sender.sendall(head)
        assert sender.makefile("rb").readline().startswith(b"HTTP/1.1 413")


def test_other_bodies_are_small(small: Serving) -> None:
    wanted = {"pictures": [{"id": "a" * 2_000_000}]}
    answer = small.client.post("/api/archive", json=wanted)
    assert answer.status_code == 400


def test_uploads_have_a_least_speed(tmp_path: Path) -> None:
    def slowly() -> Iterator[bytes]:
        for _ in range(100):
            yield b"."
            time.sleep(0.01)

    with serving(
        tmp_path, stalled_seconds=0.5, upload_bytes=1_000, least_bytes_a_second=10**9
    ) as server:
        answer = server.client.post("/api/jobs", content=slowly())
        assert answer.status_code == 408
        assert answer.json()["detail"] == "the picture comes too slowly; send it again"


@pytest.mark.parametrize("hangs_up", [False, True])
def test_uploads_that_stop_half_way_are_given_up(tmp_path: Path, hangs_up: bool) -> None:
    with serving(tmp_path, waiting=1, stalled_seconds=1) as server:
        there = httpx.URL(server.url)
        head = b"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
        with socket.create_connection((there.host, there.port)) as sender:
            sender.sendall(head + bytes(10))
            server.receives()
            if not hangs_up:
                told = sender.makefile("rb").read()
                assert told.startswith(b"HTTP/1.1 408")
                assert b"nothing came for 1 second" in told
        server.receives(uploading=False)
        assert server.done(GREY, model=QUICK)


def test_no_more_is_kept_than_there_is_room_for(tmp_path: Path) -> None:
    with serving(tmp_path, kept=2) as server:
        jobs = [server.done(GREY, model=QUICK) for _ in range(2)]
        answer = server.send(GREY, model=QUICK)
        assert answer.status_code == 503
        assert "there is no room beside the 2 pictures" in answer.json()["detail"]
        server.client.delete(f"/api/jobs/{jobs[0]}")
        assert server.send(GREY, model=QUICK).status_code == 202
