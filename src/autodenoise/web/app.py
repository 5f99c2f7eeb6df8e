"""The ASGI application: the page, the API, request checks and error responses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from importlib import metadata
from pathlib import Path

import fastapi_offline
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp

from autodenoise.errors import AutodenoiseError
from autodenoise.web.api import router
from autodenoise.web.errors import ServerBusy, status_of
from autodenoise.web.queue import JobQueue
from autodenoise.web.security import RequestFilter

__all__ = ["create_app"]

_STATIC = Path(__file__).parent / "static"
_SWAGGER = Path(fastapi_offline.__file__).parent / "static"
_CLEANUP_SECONDS = 60
_RETRY_SECONDS = 2


def create_app(queue: JobQueue, host: str = "127.0.0.1") -> ASGIApp:
    """Return the ASGI application, which rejects requests that do not name this `host`."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        cleanup = asyncio.create_task(_remove_idle_jobs(queue))
        yield
        cleanup.cancel()

    app = FastAPI(
        title="autodenoise",
        version=metadata.version("autodenoise"),
        description="Upload an image and download it denoised, as the command line writes it.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.queue = queue
    app.include_router(router)
    app.mount("/static", StaticFiles(directory=_STATIC))
    app.mount("/swagger", StaticFiles(directory=_SWAGGER))

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(_STATIC / "index.html")

    @app.get("/docs", include_in_schema=False)
    async def api_page() -> FileResponse:
        return FileResponse(_STATIC / "api.html")

    app.add_exception_handler(AutodenoiseError, _expected_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(Exception, _unexpected_error)
    # The outermost layer, so that it adds its headers to all responses.
    return RequestFilter(app, host)


async def _remove_idle_jobs(queue: JobQueue) -> None:
    while True:
        await asyncio.sleep(_CLEANUP_SECONDS)
        await asyncio.to_thread(queue.remove_idle)


async def _expected_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AutodenoiseError)
    del request
    headers = {"Retry-After": str(_RETRY_SECONDS)} if isinstance(error, ServerBusy) else None
    return JSONResponse({"detail": str(error)}, status_of(error), headers)


async def _invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    del request
    messages = (
        f"the body is not valid JSON: {problem['ctx']['error']}"
        if problem["type"] == "json_invalid"
        else f"{problem['loc'][-1]}: {problem['msg']}"
        for problem in error.errors()
    )
    return JSONResponse({"detail": "; ".join(messages)}, 400)


async def _unexpected_error(request: Request, error: Exception) -> JSONResponse:
    # The server prints the traceback.
    del request, error
    message = "internal error; this is a bug in autodenoise, please report the server's output"
    return JSONResponse({"detail": message}, 500)
