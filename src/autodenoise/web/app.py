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

from autodenoise.errors import (
    AutodenoiseError,
    InputError,
    Interrupted,
    OutputError,
    UsageError,
)
from autodenoise.web.api import router
from autodenoise.web.desk import Busy, Desk, NotDone, UnknownJob
from autodenoise.web.guard import Guard
from autodenoise.web.limits import Limits
from autodenoise.web.uploads import Stalled, TooLarge, swallow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import Request

__all__ = ["create_app"]

_STATIC = Path(__file__).parent / "static"
_SWAGGER = Path(fastapi_offline.__file__).parent / "static"
_SECONDS_BETWEEN_SWEEPS = 60
_RETRY_SECONDS = 2

# The first that an error is an instance of.
_STATUS: dict[type[AutodenoiseError], int] = {
    Busy: 503,
    UnknownJob: 404,
    TooLarge: 413,
    Stalled: 408,
    NotDone: 409,
    Interrupted: 409,
    UsageError: 400,
    InputError: 422,
    OutputError: 422,
    AutodenoiseError: 500,
}


def create_app(host: str = "127.0.0.1", limits: Limits | None = None) -> FastAPI:
    """Make the ASGI application.

    Parameters
    ----------
    host
        The name or address that it will be reached at; requests to others are refused.
    limits
        What it takes on.
    """
    chosen = limits or Limits()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        desk = Desk(chosen)
        app.state.desk = desk
        sweeping = asyncio.create_task(_sweep(desk))
        try:
            yield
        finally:
            sweeping.cancel()
            await asyncio.to_thread(desk.close)

    app = FastAPI(
        title="autodenoise",
        version=metadata.version("autodenoise"),
        description="Send a picture, get it clean: the same file that the command line makes.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
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
    app.add_middleware(Guard, host=host)
    return app


async def _sweep(desk: Desk) -> None:
    while True:
        await asyncio.sleep(_SECONDS_BETWEEN_SWEEPS)
        await asyncio.to_thread(desk.forget_idle)


async def _tell(request: Request, error: Exception) -> JSONResponse:
    await swallow(request, request.app.state.desk.limits)
    status = next(status for kind, status in _STATUS.items() if isinstance(error, kind))
    headers = {"Retry-After": str(_RETRY_SECONDS)} if isinstance(error, Busy) else None
    return JSONResponse({"detail": str(error)}, status, headers)


async def _tell_mistake(request: Request, error: Exception) -> JSONResponse:
    await swallow(request, request.app.state.desk.limits)
    mistakes = error.errors() if isinstance(error, RequestValidationError) else []
    said = (f"{mistake['loc'][-1]}: {mistake['msg']}" for mistake in mistakes)
    return JSONResponse({"detail": "; ".join(said)}, 400)
