"""The HTTP API, which the page uses as other programs do."""

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
from autodenoise.web import archive
from autodenoise.web.errors import NotDone, Stalled, Unknown
from autodenoise.web.jobs import SOURCE, Job, Side, State, bare_name
from autodenoise.web.queue import Desk
from autodenoise.web.schemas import (
    Fault,
    JobMessage,
    LimitsMessage,
    ModelMessage,
    PreviewMessage,
    SizeMessage,
    Strength,
    WantedArchive,
)
from autodenoise.web.transfer import Sending, announced_size, receive

__all__ = ["router"]

_Answer = TypeVar("_Answer")

_FAULTS: dict[int | str, dict[str, object]] = {
    400: {"model": Fault, "description": "The request cannot mean anything."},
    403: {"model": Fault, "description": "The request was made for a page from elsewhere."},
    404: {"model": Fault, "description": "The picture is not here, or no longer."},
    408: {"model": Fault, "description": "The picture came too slowly."},
    409: {"model": Fault, "description": "The picture is not done yet, or was cancelled."},
    413: {"model": Fault, "description": "The file is larger than is taken."},
    422: {"model": Fault, "description": "The picture is damaged, or does not fit the model."},
    503: {"model": Fault, "description": "Busy; Retry-After says when to try again."},
    507: {"model": Fault, "description": "The disk is full."},
}
_BYTES = {"schema": {"type": "string", "format": "binary"}}
_FILE = {"content": {"application/octet-stream": _BYTES}}
_PICTURE_BODY = {"requestBody": {"required": True, **_FILE}}
_PICTURE_ANSWER: dict[int | str, dict[str, object]] = {
    200: {"description": "The picture's file.", **_FILE}
}
_AT_ONCE, _STEPS, _SERVER = "At once", "Step by step", "The server"
_SECONDS_BETWEEN_LOOKS = 0.5

router = APIRouter(prefix="/api", responses=_FAULTS)


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


def _job(job_id: str, desk: Annotated[Desk, Depends(_desk)]) -> Job:
    return desk.find(job_id)


def _done(job: Annotated[Job, Depends(_job)]) -> Job:
    _check_done(job)
    return job


def _suffix(
    ending: Annotated[
        str | None, Query(alias="format", description="An ending, such as png; by default its own.")
    ] = None,
) -> str | None:
    return _checked_suffix(ending)


def _intensity_range(
    black: Annotated[float | None, Query(description="The sample value of black.")] = None,
    white: Annotated[float | None, Query(description="The sample value of white.")] = None,
) -> IntensityRange | None:
    if black is None and white is None:
        return None
    if black is None or white is None:
        raise UsageError("give both black and white, or neither")
    return IntensityRange(black, white)


TheDesk = Annotated[Desk, Depends(_desk)]
AJob = Annotated[Job, Depends(_job)]
ADoneJob = Annotated[Job, Depends(_done)]
AnIntensityRange = Annotated[IntensityRange | None, Depends(_intensity_range)]
ASuffix = Annotated[str | None, Depends(_suffix)]
AName = Annotated[str, Query(description="What the picture's file is called.")]
AModel = Annotated[str | None, Query(description="A name of `GET /api/models`.")]
AnAxes = Annotated[str | None, Query(description="What a stack's dimensions are, as in ZYX.")]
AStrength = Annotated[
    Strength, Query(description="0 leaves the picture as it is, 1 is the model's answer.")
]
APlace = Annotated[int, PathPart(ge=0, le=2**31)]
AStrip = Annotated[bool, Query(description="Keep only the colour profile and the resolution.")]


@router.get("/limits", tags=[_SERVER], summary="What the server takes")
async def limits(desk: TheDesk) -> LimitsMessage:
    """Tell what the server takes."""
    return LimitsMessage(
        version=metadata.version("autodenoise"),
        upload_bytes=desk.limits.upload_bytes,
        pixels=desk.limits.pixels,
        endings=sorted(SUFFIXES),
    )


@router.get("/models", tags=[_SERVER], summary="The models that can be used")
async def models() -> list[ModelMessage]:
    """List the models that can be used: shipped ones, and those in the server's folder."""
    entries = await asyncio.to_thread(runtime.list_models)
    default = runtime.find()
    told = (ModelMessage.of(entry, default=entry.path == default) for entry in entries)
    return [message for message in told if message is not None]


@router.post(
    "/denoise",
    tags=[_AT_ONCE],
    summary="Send a noisy picture, get the clean one",
    response_class=FileResponse,
    responses=_PICTURE_ANSWER,
    openapi_extra=_PICTURE_BODY,
)
async def denoise(
    request: Request,
    desk: TheDesk,
    intensity_range: AnIntensityRange,
    suffix: ASuffix,
    name: AName = "picture",
    model: AModel = None,
    strength: AStrength = 1.0,
    axes: AnAxes = None,
    strip_metadata: AStrip = False,
) -> FileResponse:
    """Clean the picture in the body, and give its file: that which the command line makes.

    Who hangs up stops the work.
    """
    options = DenoiseOptions(strength, intensity_range, axes, strip_metadata)
    job, work = await _take(request, desk, name, model, options, suffix=suffix)
    with contextlib.ExitStack() as held:
        held.callback(desk.forget, job)
        await _ended(request, work)
        _check_done(job)
        saved = job.saved(strength, strip_metadata=strip_metadata)
        return Sending(saved, job.saved_name(), held.pop_all())


@router.post(
    "/jobs",
    tags=[_STEPS],
    summary="Send a picture",
    status_code=202,
    openapi_extra=_PICTURE_BODY,
)
async def send(
    request: Request,
    desk: TheDesk,
    intensity_range: AnIntensityRange,
    name: AName = "picture",
    model: AModel = None,
    axes: AnAxes = None,
) -> JobMessage:
    """Send a picture, to ask for it later: how far it is, how it looks, and at which strength."""
    options = DenoiseOptions(intensity_range=intensity_range, axes=axes)
    job, _ = await _take(request, desk, name, model, options, keep_answers=True)
    if await request.is_disconnected():
        # Nobody knows its id.
        await asyncio.to_thread(desk.forget, job)
        raise Stalled("the sender is gone")
    return _message(desk, job)


@router.get("/jobs/{job_id}", tags=[_STEPS], summary="How far it is")
async def job_state(desk: TheDesk, job: AJob) -> JobMessage:
    """Tell how far a picture is."""
    return _message(desk, job)


@router.delete("/jobs/{job_id}", tags=[_STEPS], summary="Cancel or forget it", status_code=204)
async def forget(desk: TheDesk, job: AJob) -> None:
    """Stop what is done for a picture, and remove its files."""
    await asyncio.to_thread(desk.forget, job)


@router.get(
    "/jobs/{job_id}/result",
    tags=[_STEPS],
    summary="The clean picture, at a strength",
    response_class=FileResponse,
    responses=_PICTURE_ANSWER,
)
async def result(
    request: Request,
    desk: TheDesk,
    job: ADoneJob,
    suffix: ASuffix,
    strength: AStrength = 1.0,
    strip_metadata: AStrip = False,
) -> FileResponse:
    """Give the clean picture's file at a strength, as the command line would make it."""
    stop = threading.Event()
    save = partial(job.saved, strength, suffix, strip_metadata=strip_metadata, stop=stop)
    with contextlib.ExitStack() as held:
        held.enter_context(job.in_use())
        saved = await _by_clerk(request, desk, save, stop)
        held.callback(job.sent, saved)
        return Sending(saved, job.saved_name(suffix), held.pop_all())


@router.post(
    "/archive",
    tags=[_STEPS],
    summary="Many clean pictures in a zip file",
    response_class=FileResponse,
    responses={200: {"description": "A zip file.", **_FILE}},
)
async def pack(request: Request, desk: TheDesk, wanted: WantedArchive) -> FileResponse:
    """Give the files of many clean pictures in one zip file."""
    pictures = {desk.find(picture.id): picture.strength for picture in wanted.pictures}
    if len(pictures) < len(wanted.pictures):
        raise UsageError("a picture is asked for twice")
    for job in pictures:
        _check_done(job)
    suffix = _checked_suffix(wanted.format)
    stop = threading.Event()
    with contextlib.ExitStack() as held:
        for job in pictures:
            held.enter_context(job.in_use())
        target = held.enter_context(desk.scratch())
        save = partial(
            archive.pack, pictures, target, suffix, strip_metadata=wanted.strip_metadata, stop=stop
        )
        await _by_clerk(request, desk, save, stop)
        return Sending(target, "denoised.zip", held.pop_all())


@router.get("/jobs/{job_id}/{side}/{page}", tags=[_STEPS], summary="The sizes of a page's preview")
async def preview_sizes(
    request: Request, desk: TheDesk, job: AJob, side: Side, page: APlace
) -> PreviewMessage:
    """Make the preview of a page, before or after, and tell its sizes."""
    _check_side(job, side)
    sizes = await _by_clerk(request, desk, partial(job.preview_sizes, side, page))
    levels = [SizeMessage(width=width, height=height) for width, height in sizes]
    return PreviewMessage(tile=preview.TILE_SIZE, levels=levels)


@router.get(
    "/jobs/{job_id}/{side}/{page}/{level}/{row}/{column}",
    tags=[_STEPS],
    summary="A tile of a page's preview",
    response_class=Response,
    responses={200: {"description": "A tile.", "content": {"image/png": _BYTES}}},
)
async def preview_tile(
    request: Request,
    desk: TheDesk,
    job: AJob,
    side: Side,
    page: APlace,
    level: APlace,
    row: APlace,
    column: APlace,
) -> Response:
    """Give a tile of a preview: a PNG file of 8 bits, sRGB."""
    _check_side(job, side)
    read = partial(job.preview_tile, side, page, level, row, column)
    png = await _by_clerk(request, desk, read)
    if png is None:
        raise Unknown(f"no tile in row {row}, column {column} of level {level}")
    return Response(png, media_type="image/png")


async def _take(
    request: Request,
    desk: Desk,
    name: str,
    model: str | None,
    options: DenoiseOptions,
    *,
    suffix: str | None = None,
    keep_answers: bool = False,
) -> tuple[Job, Future[None]]:
    """Take the picture in a request's body in, and put it into the queue."""
    size = announced_size(request, desk.limits)
    with contextlib.ExitStack() as arriving:
        # It looks at what is on the disk.
        folder = await asyncio.to_thread(arriving.enter_context, desk.place(size))
        await receive(request, folder / SOURCE, desk.limits, desk.stopping)
        looking = desk.look(
            folder, bare_name(name), model, options, suffix=suffix, keep_answers=keep_answers
        )
        job = await asyncio.wrap_future(looking)
        return job, desk.take(job)


async def _by_clerk(
    request: Request,
    desk: Desk,
    task: Callable[[], _Answer],
    stop: threading.Event | None = None,
) -> _Answer:
    """Have a clerk do something, and stop it when nobody waits for it any more."""
    asked = desk.ask(task)
    try:
        await _ended(request, asked)
    except Stalled:
        if stop is not None:
            stop.set()
            await asyncio.wait({asyncio.wrap_future(asked)})
        raise
    return asked.result()


async def _ended(request: Request, work: Future[_Answer]) -> None:
    """Wait for the end of the work, and no longer than somebody waits for its answer."""
    waiting = asyncio.wrap_future(work)
    # Whoever wants the answer asks the work itself.
    waiting.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    while not waiting.done():
        await asyncio.wait({waiting}, timeout=_SECONDS_BETWEEN_LOOKS)
        if not waiting.done() and await request.is_disconnected():
            raise Stalled("the sender is gone")


def _message(desk: Desk, job: Job) -> JobMessage:
    return JobMessage.of(job, desk.ahead(job))


def _check_side(job: Job, side: Side) -> None:
    if side == "after":
        _check_done(job)


def _check_done(job: Job) -> None:
    if job.failure is not None:
        raise job.failure
    if job.state is State.CANCELLED:
        raise Interrupted(f"{job.name} was stopped")
    if job.state is not State.DONE:
        raise NotDone(f"{job.name} is not done yet")


def _checked_suffix(ending: str | None) -> str | None:
    suffix = None if ending is None else f".{ending.lower().removeprefix('.')}"
    runtime.check_suffix(suffix)
    return suffix
