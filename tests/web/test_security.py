"""Who may use the server, what browsers may do with its answers, and how it starts and ends."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from autodenoise.web.security import Guard
from tests.helpers import web_pictures as pictures
from tests.helpers.serving import QUICK, SLOW, Serving, serving


def status_of(listening: str, headers: dict[str, str]) -> int:
    """Give what a server that listens there answers to a request with these headers."""
    app = Starlette(routes=[Route("/api/x", lambda _: PlainTextResponse("in"))])
    app.add_middleware(Guard, host=listening)

    async def ask() -> int:
        there = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=there, base_url="http://localhost") as client:
            return (await client.get("/api/x", headers=headers)).status_code

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("listening", "host", "status"),
    [
        ("127.0.0.1", "127.0.0.1:8008", 200),
        ("127.0.0.1", "localhost", 200),
        ("127.0.0.1", "LocalHost:80", 200),
        ("127.0.0.1", "127.8.9.1:1", 200),
        ("127.0.0.1", "[::1]:8008", 200),
        ("127.0.0.1", "rebound.example:8008", 403),
        ("127.0.0.1", "localhost.rebound.example", 403),
        ("127.0.0.1", "127.0.0.1.rebound.example", 403),
        ("127.0.0.1", "[::1]rebound.example", 403),
        ("127.0.0.1", "localhost:x@rebound.example", 403),
        ("127.0.0.1", "192.168.1.5:8008", 403),
        ("127.0.0.1", "", 403),
        ("0.0.0.0", "192.168.1.5:8008", 200),
        ("0.0.0.0", "[fe80::1]", 200),
        ("0.0.0.0", "rebound.example", 403),
        ("0.0.0.0", socket.gethostname(), 200),
        ("desk.home", "desk.home:8008", 200),
        ("desk.home", "rebound.example", 403),
    ],
)
def test_names_of_others_are_refused(listening: str, host: str, status: int) -> None:
    assert status_of(listening, {"Host": host}) == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://localhost:8008"}, 200),
        ({"Origin": "https://localhost:8008"}, 200),
        ({"Origin": "http://localhost:9009"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_pages_from_elsewhere_are_refused(headers: dict[str, str], status: int) -> None:
    assert status_of("127.0.0.1", {"Host": "localhost:8008", **headers}) == status


@pytest.mark.parametrize("path", ["/", "/api/models", "/static/sample.jpg", "/nowhere"])
def test_every_answer_says_what_may_be_done_with_it(server: Serving, path: str) -> None:
    headers = server.client.get(path).headers
    policy = headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} <= set(policy)
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == ("no-store" if path.startswith("/api/") else "no-cache")


ENDINGS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", ENDINGS)
def test_nothing_is_left_and_nothing_was_logged(tmp_path: Path, number: int) -> None:
    with serving(tmp_path) as server:
        server.done(pictures.encoded(pictures.noise(20, 20)), name="secret.png", model=QUICK)
        server.send(b"no picture", name="secret.png")
        working = server.send(pictures.large(), name="secret.png", model=SLOW).json()["id"]
        server.begun(working)
        assert list(server.temporary.iterdir())
        assert server.stop(number) == (0, "")
        assert not list(server.temporary.iterdir())


@pytest.mark.parametrize("number", ENDINGS)
def test_it_can_be_ended_before_it_has_begun(tmp_path: Path, number: int) -> None:
    with serving(tmp_path) as server:
        assert server.stop(number) == (0, "")
        assert not list(server.temporary.iterdir())


def test_nobody_who_dawdles_keeps_it_from_ending(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        port = httpx.URL(server.url).port
        with socket.create_connection(("127.0.0.1", port)) as sender:
            head = b"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
            sender.sendall(head + bytes(10))
            server.receives()
            assert server.stop() == (0, "")
        assert not list(server.temporary.iterdir())


def started(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Give what the command line says of arguments that it refuses."""
    command = [sys.executable, "-m", "autodenoise", "serve", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_port_that_is_taken(server: Serving) -> None:
    port = server.url.rstrip("/").rpartition(":")[2]
    refused = started("--port", port)
    assert refused.returncode == 2
    assert f"cannot listen on 127.0.0.1, port {port}" in refused.stderr
    assert "--port" in refused.stderr


def test_an_address_that_is_not_this_machines() -> None:
    # Longer than a name can be, so that nobody is asked.
    name = 64 * "a"
    refused = started("--host", name)
    assert refused.returncode == 2
    assert f"no address {name} is known" in refused.stderr


def test_whoever_opens_it_to_others_is_warned() -> None:
    command = [sys.executable, "-m", "autodenoise", "serve", "--host", "0.0.0.0", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as it:
        assert it.stderr is not None
        warned = it.stderr.readline()
        it.terminate()
    assert warned.startswith("warning: everyone who can reach 0.0.0.0 can use this page")
