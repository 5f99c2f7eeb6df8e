"""Who may talk to the server, and what browsers may do with its answers.

A page from elsewhere can send requests to a server on this machine, and a name of its own that
suddenly means 127.0.0.1 (DNS rebinding) lets it read the answers too. So a request has to name this
machine in its Host header, and one that a browser made for another site is refused.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Guard", "is_loopback"]

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
# Other bodies are held in memory.
_MOST_TOLD = 1 << 20
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]@/]*))(?::[0-9]*)?")


def is_loopback(host: str) -> bool:
    """Tell whether a name or address means this machine to itself alone."""
    address = _address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


class Guard:
    """Refuses requests that a stranger's page may have made, and adds headers to all answers.

    Parameters
    ----------
    app
        Answers what is let through.
    host
        The name or address that the server listens on. If others than this machine can reach that,
        any address, and this machine's name, are taken for its own.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._names = {"localhost", host.lower()}
        self._open = not is_loopback(host)
        if self._open:
            self._names.add(socket.gethostname().lower())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        taken = 0

        async def receive_little() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > _MOST_TOLD:
                raise ValueError("more is told than there can be to tell")
            return message

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                # Pictures are nobody's else; the page is to be the one of this version.
                headers["Cache-Control"] = "no-store" if _is_api(scope) else "no-cache"
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None:
            pictures = scope["path"] in _UPLOADS
            await self._app(scope, receive if pictures else receive_little, send_guarded)
        else:
            await JSONResponse({"detail": refusal}, 403)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_own(_without_port(host)):
            return f"this server is not {host!a}; use its own address"
        origin = headers.get("origin")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            return f"pages of {origin!a} may not use this server"
        site = headers.get("sec-fetch-site", "none")
        if _is_api(scope) and site not in ("same-origin", "none"):
            return "pages from elsewhere may not use this server"
        return None

    def _is_own(self, host: str) -> bool:
        if host.lower() in self._names or is_loopback(host):
            return True
        # To make a name mean another address is what rebinding does; an address is what it is.
        return self._open and _address(host) is not None


def _is_api(scope: Scope) -> bool:
    path: str = scope["path"]
    return path.startswith("/api/")


def _without_port(host: str) -> str:
    parts = _HOST.fullmatch(host)
    return "" if parts is None else parts[1] or parts[2]


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
