"""Access to the server, its security headers, and its start and shutdown."""

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

from autodenoise.web.security import RequestFilter
from tests.helpers import web_images
from tests.helpers.serving import QUICK, SLOW, RunningServer, running_server


def status_of(listening: str, headers: dict[str, str]) -> int:
    """Return the status of a response to a request with these headers."""
    app = Starlette(routes=[Route("/api/x", lambda _: PlainTextResponse("in"))])
    app.add_middleware(RequestFilter, host=listening)

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
        ("server.home", "server.home:8008", 200),
        ("server.home", "rebound.example", 403),
    ],
)
def test_foreign_host_names_are_rejected(listening: str, host: str, status: int) -> None:
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
def test_cross_site_requests_are_rejected(headers: dict[str, str], status: int) -> None:
    assert status_of("127.0.0.1", {"Host": "localhost:8008", **headers}) == status


@pytest.mark.parametrize("path", ["/", "/api/models", "/static/sample.jpg", "/nowhere"])
def test_all_responses_have_security_headers(server: RunningServer, path: str) -> None:
    headers = server.client.get(path).headers
    policy = headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} <= set(policy)
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == ("no-store" if path.startswith("/api/") else "no-cache")


SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", SIGNALS)
def test_shutdown_deletes_files_and_logs_nothing(tmp_path: Path, number: int) -> None:
    with running_server(tmp_path) as server:
        server.denoise(web_images.encoded(web_images.noise(20, 20)), name="secret.png", model=QUICK)
        server.send(b"not an image", name="secret.png")
        working = server.send(web_images.large(), name="secret.png", model=SLOW).json()["id"]
        server.wait_started(working)
        assert list(server.temporary.iterdir())
        assert server.stop(number) == (0, "")
        assert not list(server.temporary.iterdir())


@pytest.mark.parametrize("number", SIGNALS)
def test_shutdown_before_the_first_request(tmp_path: Path, number: int) -> None:
    with running_server(tmp_path) as server:
        assert server.stop(number) == (0, "")
        assert not list(server.temporary.iterdir())


def test_slow_upload_does_not_delay_shutdown(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        port = httpx.URL(server.url).port
        with socket.create_connection(("127.0.0.1", port)) as sender:
            head = b"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
            sender.sendall(head + bytes(10))
            server.wait_for_upload()
            assert server.stop() == (0, "")
        assert not list(server.temporary.iterdir())


def run_serve(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``autodenoise serve`` with arguments that it rejects."""
    command = [sys.executable, "-m", "autodenoise", "serve", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_taken_port_is_an_error(server: RunningServer) -> None:
    port = server.url.rstrip("/").rpartition(":")[2]
    refused = run_serve("--port", port)
    assert refused.returncode == 2
    assert f"cannot listen on 127.0.0.1, port {port}" in refused.stderr
    assert "--port" in refused.stderr


def test_unknown_address_is_an_error() -> None:
    # Longer than a host name can be, so that no DNS query is sent.
    name = 64 * "a"
    refused = run_serve("--host", name)
    assert refused.returncode == 2
    assert f"unknown address {name}" in refused.stderr


def test_public_address_prints_a_warning() -> None:
    command = [sys.executable, "-m", "autodenoise", "serve", "--host", "0.0.0.0", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as it:
        assert it.stderr is not None
        warned = it.stderr.readline()
        it.terminate()
    assert warned.startswith("warning: anyone who can reach 0.0.0.0 can use this page")
