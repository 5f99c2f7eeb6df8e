"""What goes between the server and its callers, as JSON."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from autodenoise.runtime import ModelEntry, card_words
from autodenoise.web.jobs import Job, State

__all__ = [
    "Fault",
    "JobMessage",
    "LimitsMessage",
    "ModelMessage",
    "PictureMessage",
    "PreviewMessage",
    "RangeMessage",
    "SizeMessage",
    "Strength",
    "WantedArchive",
    "WantedPicture",
]

Strength = Annotated[float, Field(ge=0, le=1)]
"""0 leaves a picture as it is, 1 is the model's answer."""


class Fault(BaseModel):
    """Why a request was not met: what was expected, what came, what to do."""

    detail: str


class SizeMessage(BaseModel):
    """A size in pixels."""

    width: int
    height: int


class RangeMessage(BaseModel):
    """The sample values that a preview shows as black and white."""

    black: float
    white: float


class PictureMessage(SizeMessage):
    """A picture by its header, upright."""

    format: str
    pages: int
    colours: int
    bands: int
    bits: int


class JobMessage(BaseModel):
    """A picture on its way."""

    id: str
    name: str
    model: str
    state: State
    ahead: Annotated[int, Field(description="How many pictures come before, while it waits.")]
    tiles: int
    tiles_done: int
    seconds_left: float | None
    error: Annotated[str | None, Field(description="Why it failed.")]
    picture: PictureMessage
    formats: Annotated[
        list[str], Field(description="Endings to save it with; the first is taken by default.")
    ]
    shown: Annotated[
        RangeMessage | None,
        Field(description="Where previews are brighter than the file, what they show as what."),
    ]

    @classmethod
    def of(cls, job: Job, ahead: int) -> JobMessage:
        """Say how far a job is."""
        picture, shown = job.picture, job.shown
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
            picture=PictureMessage(
                format=picture.format.name,
                width=picture.width,
                height=picture.height,
                pages=picture.pages,
                colours=picture.colors,
                bands=picture.bands,
                bits=picture.bits,
            ),
            formats=job.suffixes,
            shown=None if shown is None else RangeMessage(black=shown.low, white=shown.high),
        )


class PreviewMessage(BaseModel):
    """A page's preview: the side of its tiles, and its versions, each half the one before."""

    tile: int
    levels: list[SizeMessage]


class ModelMessage(BaseModel):
    """A model, and what its card says as labels with their texts."""

    name: str
    default: bool
    about: list[tuple[str, str]]

    @classmethod
    def of(cls, entry: ModelEntry, *, default: bool) -> ModelMessage | None:
        """Say what a model is; None for one that cannot be used."""
        card = entry.card
        if card is None:
            return None
        network = f"{card.network}, {card.parameters:,} parameters"
        said = (
            ("network", network if card.precision == "float32" else f"{network}, {card.precision}"),
            ("images", ", ".join(card_words.images(card))),
            ("trained on", "; ".join([card.data, *card_words.noise(card)])),
            ("scores", "; ".join(card_words.scores(card))),
            ("not for", card.limits),
            ("source", card.source),
            ("licence", card.licence),
        )
        return cls(name=entry.name, default=default, about=[line for line in said if line[1]])


class LimitsMessage(BaseModel):
    """What the server takes."""

    version: str
    upload_bytes: int
    pixels: int
    endings: list[str]


class WantedPicture(BaseModel):
    """A finished picture, and the strength to save it at."""

    id: str
    strength: Strength = 1.0


class WantedArchive(BaseModel):
    """The pictures of a zip file, and how they are saved."""

    pictures: Annotated[list[WantedPicture], Field(min_length=1, max_length=1000)]
    format: str | None = None
    strip_metadata: bool = False
