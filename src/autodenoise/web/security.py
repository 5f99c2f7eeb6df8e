"""Reject requests from other sites, and add security headers to responses.

A web page from another site can send requests to a server on this machine. With a host name that
it lets resolve to 127.0.0.1 (DNS rebinding) it can read the responses, too. So a request must name
this machine in its Host header, and requests that a browser sends for another site are rejected.
"""

from __future__ import annotations

import ipaddress
import re
import socket

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["RequestFilter", "is_loopback"]

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


_UPLOADS = frozenset({"/api/jobs", "/api/denoise"})
# Other bodies are read into memory.
_MAX_BODY_BYTES = 1 << 20
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]@/]*))(?::[0-9]*)?")


def is_loopback(host: str) -> bool:
    """Return whether a name or address can be reached from this machine only."""
    address = _address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


class RequestFilter:
    """Middleware that rejects cross-site requests, and adds headers to all responses.

    If other machines can reach the address `host` that the server listens on, requests to this
    machine's name and to any address are accepted.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._names = {"localhost", host.lower()}
        self._public = not is_loopback(host)
        if self._public:
            self._names.add(socket.gethostname().lower())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > _MAX_BODY_BYTES:
                raise ValueError(f"the request's body is larger than {_MAX_BODY_BYTES:,} bytes")
            return message

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                # Images are private, and the page must match the version of the server.
                headers["Cache-Control"] = "no-store" if _is_api(scope) else "no-cache"
            await send(message)

        problem = self._problem(scope)
        if problem is None:
            upload = scope["path"] in _UPLOADS
            await self._app(scope, receive if upload else receive_limited, send_with_headers)
        else:
            await JSONResponse({"detail": problem}, 403)(scope, receive, send_with_headers)

    def _problem(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        # The host without its port.
        parts = _HOST.fullmatch(host)
        if not self._is_own("" if parts is None else parts[1] or parts[2]):
            return f"this server does not serve {host!a}; use the address that it printed"
        origin = headers.get("origin")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            return f"pages from {origin!a} may not use this server"
        site = headers.get("sec-fetch-site", "none")
        if _is_api(scope) and site not in ("same-origin", "none"):
            return "pages from other sites may not use this server"
        return None

    def _is_own(self, host: str) -> bool:
        if host.lower() in self._names or is_loopback(host):
            return True
        # DNS rebinding needs a name; an address cannot be rebound.
        return self._public and _address(host) is not None


def _is_api(scope: Scope) -> bool:
    path: str = scope["path"]
    return path.startswith("/api/")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
