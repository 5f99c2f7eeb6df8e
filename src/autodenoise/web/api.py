"""The HTTP API, for the page and for other programs."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from importlib import metadata
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi import Path as PathPart
from fastapi.responses import FileResponse

from autodenoise import runtime
from autodenoise.errors import Interrupted, UsageError
from autodenoise.images import SUFFIXES, IntensityRange, preview
from autodenoise.runtime import DenoiseOptions
from autodenoise.web.errors import ClientTimeout, NotFinished, NotFound
from autodenoise.web.jobs import SOURCE_NAME, Job, JobState, Side, clean_name, write_archive
from autodenoise.web.queue import JobQueue
from autodenoise.web.schemas import (
    ArchiveRequest,
    ErrorMessage,
    JobMessage,
    LimitsMessage,
    ModelMessage,
    PreviewMessage,
    SizeMessage,
    Strength,
)
from autodenoise.web.transfer import FileDownload, declared_size, receive_file

__all__ = ["router"]

_Result = TypeVar("_Result")

_ERRORS: dict[int | str, dict[str, object]] = {
    400: {"model": ErrorMessage, "description": "The request is invalid."},
    403: {"model": ErrorMessage, "description": "The request came from another site."},
    404: {"model": ErrorMessage, "description": "The image is not on the server, or no longer."},
    408: {"model": ErrorMessage, "description": "The upload was too slow."},
    409: {"model": ErrorMessage, "description": "The job is not finished, or was cancelled."},
    413: {"model": ErrorMessage, "description": "The file is too large."},
    422: {"model": ErrorMessage, "description": "The image is damaged or does not fit the model."},
    503: {"model": ErrorMessage, "description": "Busy; Retry-After says when to try again."},
    507: {"model": ErrorMessage, "description": "The disk is full."},
}
_BYTES = {"schema": {"type": "string", "format": "binary"}}
_FILE = {"content": {"application/octet-stream": _BYTES}}
_IMAGE_BODY = {"requestBody": {"required": True, **_FILE}}
_IMAGE_RESPONSE: dict[int | str, dict[str, object]] = {
    200: {"description": "The image file.", **_FILE}
}
_ONE_STEP, _JOBS, _SERVER = "One request", "Jobs", "Server"
_POLL_SECONDS = 0.5

router = APIRouter(prefix="/api", responses=_ERRORS)


def _queue(request: Request) -> JobQueue:
    queue: JobQueue = request.app.state.queue
    return queue


def _job(job_id: str, queue: Annotated[JobQueue, Depends(_queue)]) -> Job:
    return queue.find(job_id)


def _finished_job(job: Annotated[Job, Depends(_job)]) -> Job:
    _check_finished(job)
    return job


def _suffix(
    suffix: Annotated[
        str | None,
        Query(alias="format", description="Suffix, such as png; by default that of the file."),
    ] = None,
) -> str | None:
    return _checked_suffix(suffix)


def _intensity_range(
    black: Annotated[float | None, Query(description="The sample value of black.")] = None,
    white: Annotated[float | None, Query(description="The sample value of white.")] = None,
) -> IntensityRange | None:
    if black is None and white is None:
        return None
    if black is None or white is None:
        raise UsageError("expected both black and white, or neither")
    return IntensityRange(black, white)


QueueDep = Annotated[JobQueue, Depends(_queue)]
JobDep = Annotated[Job, Depends(_job)]
FinishedJobDep = Annotated[Job, Depends(_finished_job)]
RangeDep = Annotated[IntensityRange | None, Depends(_intensity_range)]
SuffixDep = Annotated[str | None, Depends(_suffix)]
Name = Annotated[str, Query(description="Name of the image file.")]
ModelName = Annotated[str | None, Query(description="A name from `GET /api/models`.")]
Axes = Annotated[str | None, Query(description="Dimensions of a stack, such as ZYX.")]
StrengthQuery = Annotated[
    Strength, Query(description="0 is the original image, 1 the model's output.")
]
Index = Annotated[int, PathPart(ge=0, le=2**31)]
StripMetadata = Annotated[bool, Query(description="Keep only color profile and resolution.")]


@router.get("/limits", tags=[_SERVER], summary="Limits of the server")
async def limits(queue: QueueDep) -> LimitsMessage:
    """Return the server's version, limits, and supported file name suffixes."""
    suffixes = sorted(SUFFIXES)
    return LimitsMessage(
        version=metadata.version("autodenoise"),
        upload_bytes=queue.limits.max_upload_bytes,
        pixels=queue.limits.max_pixels,
        suffixes=suffixes,
        endings=suffixes,
    )


@router.get("/models", tags=[_SERVER], summary="Available models")
async def models() -> list[ModelMessage]:
    """List the available models: shipped ones, and those in the server's folder."""
    entries = await asyncio.to_thread(runtime.list_models)
    default = runtime.find_model()
    messages = (ModelMessage.of(entry, default=entry.path == default) for entry in entries)
    return [message for message in messages if message is not None]


@router.post(
    "/denoise",
    tags=[_ONE_STEP],
    summary="Denoise an image",
    response_class=FileResponse,
    responses=_IMAGE_RESPONSE,
    openapi_extra=_IMAGE_BODY,
)
async def denoise(
    request: Request,
    queue: QueueDep,
    intensity_range: RangeDep,
    suffix: SuffixDep,
    name: Name = "image",
    model: ModelName = None,
    strength: StrengthQuery = 1.0,
    axes: Axes = None,
    strip_metadata: StripMetadata = False,
) -> FileResponse:
    """Denoise the image file in the body, and return the file that the command line would write.

    Disconnecting cancels the job.
    """
    options = DenoiseOptions(strength, intensity_range, axes, strip_metadata)
    job, future = await _create_job(request, queue, name, model, options, suffix=suffix)
    with contextlib.ExitStack() as resources:
        resources.callback(queue.remove, job)
        await _wait(request, future)
        _check_finished(job)
        path = job.save(strength, strip_metadata=strip_metadata)
        return FileDownload(path, job.result_name(), resources.pop_all())


@router.post(
    "/jobs",
    tags=[_JOBS],
    summary="Create a job",
    status_code=202,
    openapi_extra=_IMAGE_BODY,
)
async def create_job(
    request: Request,
    queue: QueueDep,
    intensity_range: RangeDep,
    name: Name = "image",
    model: ModelName = None,
    axes: Axes = None,
) -> JobMessage:
    """Upload an image file as a job, whose state, previews and result can be requested later."""
    options = DenoiseOptions(intensity_range=intensity_range, axes=axes)
    job, _ = await _create_job(request, queue, name, model, options, cache_outputs=True)
    if await request.is_disconnected():
        # The client does not know the job's id.
        await asyncio.to_thread(queue.remove, job)
        raise ClientTimeout("the client disconnected")
    return JobMessage.of(job, queue.position(job))


@router.get("/jobs/{job_id}", tags=[_JOBS], summary="State of a job")
async def job_state(queue: QueueDep, job: JobDep) -> JobMessage:
    """Return the state of a job."""
    return JobMessage.of(job, queue.position(job))


@router.delete("/jobs/{job_id}", tags=[_JOBS], summary="Cancel or remove a job", status_code=204)
async def remove_job(queue: QueueDep, job: JobDep) -> None:
    """Stop a job, and delete its files."""
    await asyncio.to_thread(queue.remove, job)


@router.get(
    "/jobs/{job_id}/result",
    tags=[_JOBS],
    summary="The denoised image at a strength",
    response_class=FileResponse,
    responses=_IMAGE_RESPONSE,
)
async def result(
    request: Request,
    queue: QueueDep,
    job: FinishedJobDep,
    suffix: SuffixDep,
    strength: StrengthQuery = 1.0,
    strip_metadata: StripMetadata = False,
) -> FileResponse:
    """Return the denoised file at a strength, as the command line would write it."""
    stop = threading.Event()
    save = partial(job.save, strength, suffix, strip_metadata=strip_metadata, stop=stop)
    with contextlib.ExitStack() as resources:
        resources.enter_context(job.in_use())
        path = await _run_task(request, queue, save, stop)
        resources.callback(job.discard, path)
        return FileDownload(path, job.result_name(suffix), resources.pop_all())


@router.post(
    "/archive",
    tags=[_JOBS],
    summary="Several denoised images in a zip file",
    response_class=FileResponse,
    responses={200: {"description": "A zip file.", **_FILE}},
)
async def archive(request: Request, queue: QueueDep, body: ArchiveRequest) -> FileResponse:
    """Return the results of several jobs in a zip file."""
    strengths = {queue.find(item.id): item.strength for item in body.images}
    if len(strengths) < len(body.images):
        raise UsageError("an image is listed twice")
    for job in strengths:
        _check_finished(job)
    suffix = _checked_suffix(body.format)
    stop = threading.Event()
    with contextlib.ExitStack() as resources:
        for job in strengths:
            resources.enter_context(job.in_use())
        target = resources.enter_context(queue.temporary_file())
        save = partial(
            write_archive, strengths, target, suffix, strip_metadata=body.strip_metadata, stop=stop
        )
        await _run_task(request, queue, save, stop)
        return FileDownload(target, "denoised.zip", resources.pop_all())


@router.get("/jobs/{job_id}/{side}/{page}", tags=[_JOBS], summary="Levels of a page's preview")
async def preview_sizes(
    request: Request, queue: QueueDep, job: JobDep, side: Side, page: Index
) -> PreviewMessage:
    """Make the preview of a page, before or after denoising, and return its sizes."""
    _check_side(job, side)
    sizes = await _run_task(request, queue, partial(job.preview_sizes, side, page))
    levels = [SizeMessage(width=width, height=height) for width, height in sizes]
    return PreviewMessage(tile=preview.TILE_SIZE, levels=levels)


@router.get(
    "/jobs/{job_id}/{side}/{page}/{level}/{row}/{column}",
    tags=[_JOBS],
    summary="Tile of a page's preview",
    response_class=Response,
    responses={200: {"description": "A tile.", "content": {"image/png": _BYTES}}},
)
async def preview_tile(
    request: Request,
    queue: QueueDep,
    job: JobDep,
    side: Side,
    page: Index,
    level: Index,
    row: Index,
    column: Index,
) -> Response:
    """Return a tile of a preview as an 8-bit sRGB PNG."""
    _check_side(job, side)
    read = partial(job.preview_tile, side, page, level, row, column)
    png = await _run_task(request, queue, read)
    if png is None:
        raise NotFound(f"no tile in row {row}, column {column} of level {level}")
    return Response(png, media_type="image/png")


async def _create_job(
    request: Request,
    queue: JobQueue,
    name: str,
    model: str | None,
    options: DenoiseOptions,
    *,
    suffix: str | None = None,
    cache_outputs: bool = False,
) -> tuple[Job, Future[None]]:
    """Receive the image file in a request's body, and submit it to the queue."""
    size = declared_size(request, queue.limits)
    with contextlib.ExitStack() as reservation:
        # In a thread, because it measures the disk space in use.
        folder = await asyncio.to_thread(reservation.enter_context, queue.reserve(size))
        await receive_file(request, folder / SOURCE_NAME, queue.limits, queue.stopping)
        opening = queue.open(
            folder, clean_name(name), model, options, suffix=suffix, cache_outputs=cache_outputs
        )
        job = await asyncio.wrap_future(opening)
        return job, queue.submit(job)


async def _run_task(
    request: Request,
    queue: JobQueue,
    task: Callable[[], _Result],
    stop: threading.Event | None = None,
) -> _Result:
    """Run a task in another thread, and stop it if the client disconnects."""
    future = queue.run_task(task)
    try:
        await _wait(request, future)
    except ClientTimeout:
        if stop is not None:
            stop.set()
            await asyncio.wait({asyncio.wrap_future(future)})
        raise
    return future.result()


async def _wait(request: Request, future: Future[_Result]) -> None:
    """Wait for a future, or until the client disconnects."""
    waiting = asyncio.wrap_future(future)
    # The caller reads the exception from `future`; asyncio must not warn about this one.
    waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
    while not waiting.done():
        await asyncio.wait({waiting}, timeout=_POLL_SECONDS)
        if not waiting.done() and await request.is_disconnected():
            raise ClientTimeout("the client disconnected")


def _check_side(job: Job, side: Side) -> None:
    if side == "after":
        _check_finished(job)


def _check_finished(job: Job) -> None:
    if job.failure is not None:
        raise job.failure
    if job.state is JobState.CANCELLED:
        raise Interrupted(f"{job.name} was cancelled")
    if job.state is not JobState.DONE:
        raise NotFinished(f"{job.name} is not finished yet; try again later")


def _checked_suffix(suffix: str | None) -> str | None:
    suffix = None if suffix is None else f".{suffix.lower().removeprefix('.')}"
    runtime.check_suffix(suffix)
    return suffix
