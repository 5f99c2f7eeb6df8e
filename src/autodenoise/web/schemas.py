"""JSON messages of the HTTP API.

Deprecated fields stay for one release, for programs written before they were renamed.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AliasChoices, BaseModel, Field

from autodenoise.runtime import ModelEntry
from autodenoise.web.jobs import Job, JobState

__all__ = [
    "ArchiveItem",
    "ArchiveRequest",
    "ErrorMessage",
    "ImageMessage",
    "JobMessage",
    "LimitsMessage",
    "ModelMessage",
    "PreviewMessage",
    "RangeMessage",
    "SizeMessage",
    "Strength",
]

Strength = Annotated[float, Field(ge=0, le=1)]
"""0 is the original image, 1 the model's output."""


class ErrorMessage(BaseModel):
    """Why a request failed: what was expected, what came, what to do."""

    detail: str


class SizeMessage(BaseModel):
    """A size in pixels."""

    width: int
    height: int


class RangeMessage(BaseModel):
    """The sample values of black and white."""

    black: float
    white: float


class ImageMessage(SizeMessage):
    """The header of an image file, upright."""

    format: str
    pages: int
    colors: int
    colours: Annotated[int, Field(deprecated="Renamed to `colors`.")]
    bands: int
    bits: int


class JobMessage(BaseModel):
    """The state of a job."""

    id: str
    name: str
    model: str
    state: JobState
    ahead: Annotated[int, Field(description="Number of jobs before this one, while it waits.")]
    tiles: int
    tiles_done: int
    seconds_left: float | None
    error: Annotated[str | None, Field(description="Why the job failed.")]
    image: ImageMessage
    picture: Annotated[ImageMessage, Field(deprecated="Renamed to `image`.")]
    formats: Annotated[
        list[str],
        Field(description="Suffixes that the result can be saved with; the default first."),
    ]
    display_range: Annotated[
        RangeMessage | None,
        Field(description="What previews show as black and white, if brighter than the file."),
    ]
    shown: Annotated[RangeMessage | None, Field(deprecated="Renamed to `display_range`.")]

    @classmethod
    def of(cls, job: Job, ahead: int) -> JobMessage:
        """Return the message for a job."""
        file = job.file
        image = ImageMessage(
            format=file.format.name,
            width=file.width,
            height=file.height,
            pages=file.pages,
            colors=file.colors,
            colours=file.colors,
            bands=file.bands,
            bits=file.bits,
        )
        shown = job.display_range
        display_range = None if shown is None else RangeMessage(black=shown.low, white=shown.high)
        return cls(
            id=job.id,
            name=job.name,
            model=job.model_name,
            state=job.state,
            ahead=ahead,
            tiles=job.tiles,
            tiles_done=job.tiles_done,
            seconds_left=job.seconds_left,
            error=None if job.failure is None else str(job.failure),
            image=image,
            picture=image,
            formats=job.suffixes,
            display_range=display_range,
            shown=display_range,
        )


class PreviewMessage(BaseModel):
    """The tile size and the levels of a page's preview, each half the size of the one before."""

    tile: int
    levels: list[SizeMessage]


class ModelMessage(BaseModel):
    """A model, and its card as pairs of label and text."""

    name: str
    default: bool
    about: list[tuple[str, str]]

    @classmethod
    def of(cls, entry: ModelEntry, *, default: bool) -> ModelMessage | None:
        """Return the message for a model; None if the model cannot be used."""
        if entry.card is None:
            return None
        about = [(label, "; ".join(lines)) for label, lines in entry.card.describe().items()]
        return cls(name=entry.name, default=default, about=[line for line in about if line[1]])


class LimitsMessage(BaseModel):
    """The limits of the server."""

    version: str
    upload_bytes: int
    pixels: int
    suffixes: list[str]
    endings: Annotated[list[str], Field(deprecated="Renamed to `suffixes`.")]


class ArchiveItem(BaseModel):
    """A finished job, and the strength to save it at."""

    id: str
    strength: Strength = 1.0


class ArchiveRequest(BaseModel):
    """The images of a zip file, and how to save them."""

    images: Annotated[
        list[ArchiveItem],
        Field(
            min_length=1,
            max_length=1000,
            # `pictures` is the former name.
            validation_alias=AliasChoices("images", "pictures"),
        ),
    ]
    format: str | None = None
    strip_metadata: bool = False
