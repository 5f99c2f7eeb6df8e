"""The server's parts put together: the page, the API, what guards them, and how errors are told."""

from __future__ import annotations

import asyncio
import contextlib
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import fastapi_offline
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from autodenoise.errors import AutodenoiseError
from autodenoise.web.api import router
from autodenoise.web.errors import Busy, status_of
from autodenoise.web.queue import Desk
from autodenoise.web.security import Guard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import Request
    from starlette.types import ASGIApp

__all__ = ["create_app"]

_STATIC = Path(__file__).parent / "static"
_SWAGGER = Path(fastapi_offline.__file__).parent / "static"
_SECONDS_BETWEEN_SWEEPS = 60
_RETRY_SECONDS = 2


def create_app(desk: Desk, host: str = "127.0.0.1") -> ASGIApp:
    """Make the ASGI application.

    Parameters
    ----------
    desk
        Where the work is done; whoever made it closes it.
    host
        The name or address that it will be reached at; requests to others are refused.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        sweeping = asyncio.create_task(_sweep(desk))
        yield
        sweeping.cancel()

    app = FastAPI(
        title="autodenoise",
        version=metadata.version("autodenoise"),
        description="Send a picture, get it clean: the same file that the command line makes.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.desk = desk
    app.include_router(router)
    app.mount("/static", StaticFiles(directory=_STATIC))
    app.mount("/swagger", StaticFiles(directory=_SWAGGER))

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(_STATIC / "index.html")

    @app.get("/docs", include_in_schema=False)
    async def api_page() -> FileResponse:
        return FileResponse(_STATIC / "api.html")

    app.add_exception_handler(AutodenoiseError, _tell)
    app.add_exception_handler(RequestValidationError, _tell_mistake)
    app.add_exception_handler(Exception, _tell_fault)
    # Outside all else, so that no answer goes without its headers.
    return Guard(app, host)


async def _sweep(desk: Desk) -> None:
    while True:
        await asyncio.sleep(_SECONDS_BETWEEN_SWEEPS)
        await asyncio.to_thread(desk.forget_idle)


async def _tell(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AutodenoiseError)
    del request
    headers = {"Retry-After": str(_RETRY_SECONDS)} if isinstance(error, Busy) else None
    return JSONResponse({"detail": str(error)}, status_of(error), headers)


async def _tell_mistake(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    del request
    said = (
        f"expected JSON, came something else: {mistake['ctx']['error']}"
        if mistake["type"] == "json_invalid"
        else f"{mistake['loc'][-1]}: {mistake['msg']}"
        for mistake in error.errors()
    )
    return JSONResponse({"detail": "; ".join(said)}, 400)


async def _tell_fault(request: Request, error: Exception) -> JSONResponse:
    # The server prints it.
    del request, error
    return JSONResponse({"detail": "something went wrong; this is a bug in autodenoise"}, 500)
