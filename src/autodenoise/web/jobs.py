"""A picture that was sent, and all that is made of it, in a folder of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import secrets
import shutil
import threading
import time
from enum import StrEnum
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Literal

import numpy as np

from autodenoise import images, runtime
from autodenoise.errors import AutodenoiseError, InputError, Interrupted
from autodenoise.files import size_of
from autodenoise.images import SUFFIXES, IntensityRange, preview
from autodenoise.runtime.batch import explained
from autodenoise.runtime.denoising import fixed, intensity_range_of
from autodenoise.web.cache import Kept, Watched
from autodenoise.web.errors import Unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from autodenoise.runtime import DenoiseOptions
    from autodenoise.web.models import Models

__all__ = ["ENDED", "SOURCE", "Job", "Side", "State", "bare_name"]

Side = Literal["before", "after"]
"""Of the slider: the picture as it was sent, and the model's answer."""

SOURCE = "source"
"""The sent file's name in the job's folder."""

_LONGEST_NAME = 150
_FAULT = "this is a bug in autodenoise; run the server with AUTODENOISE_TRACEBACK=1 and report it"


class State(StrEnum):
    """How far a picture is."""

    WAITING = "waiting"
    WORKING = "working"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({State.DONE, State.FAILED, State.CANCELLED})
"""The states that nothing follows."""


def bare_name(name: str) -> str:
    """Give what a sender calls a picture, without folders and what cannot be printed."""
    last = re.split(r"[/\\]", name)[-1]
    printable = "".join(letter for letter in last if letter.isprintable()).strip(" .")
    stem, dot, ending = printable.rpartition(".")
    if not stem:
        stem, dot, ending = ending, "", ""
    # Most disks count bytes.
    short = stem.encode()[:_LONGEST_NAME].decode(errors="ignore").strip(" .")
    return f"{short or 'picture'}{dot}{ending[:10]}".rstrip(" .")


class Job:
    """One picture on its way.

    Files have names of ours; the sender's is for people alone. Several threads may use a job.

    Parameters
    ----------
    folder
        For this job alone. The picture lies there as `SOURCE`.
    name
        What the sender calls the picture.
    model_name, models, options
        How the picture is denoised: a name, where the model is to be had by it, and the rest.
    suffix
        The ending of the result; None for that of `name`, or of the picture's own format where the
        name has none that is known.
    most_pixels
        Of all pages together.
    most_answers
        Keep the model's answers, since the picture will be wanted at other strengths, if they take
        no more than so many bytes.

    Attributes
    ----------
    id
        Names the job to whoever sent the picture, and cannot be guessed by others.
    folder, name, model_name
        As above.
    picture
        Its header, as the picture is seen: upright.
    suffixes
        Endings that it can be saved with; its own first.
    shown
        The sample values of black and white in previews, where they are not those that it is
        denoised by; else None.
    state, failure
        How far it is; why it failed, else None.
    tiles, tiles_done
        How much there is to do, and how much is done.
    touched
        When somebody last asked about it, by the monotonic clock.

    Raises
    ------
    UsageError
        No model has this name.
    InputError
        The picture is damaged, has too many pixels, or does not fit the model.
    OutputError
        The result's format cannot hold it.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        model_name: str,
        models: Models,
        options: DenoiseOptions,
        *,
        suffix: str | None = None,
        most_pixels: int,
        most_answers: int = 0,
    ) -> None:
        self.id = secrets.token_urlsafe(16)
        self.name, self.model_name, self._models = name, model_name, models
        self.state = State.WAITING
        self.failure: AutodenoiseError | None = None
        self.tiles_done, self._begun = 0, 0.0
        self.touched = time.monotonic()
        self.folder, self._source = folder, folder / SOURCE
        self._options = fixed(options)
        self._stop = threading.Event()
        self._users, self._unwanted = 0, False
        self._counting = threading.Lock()
        # Held while previews are made, read or removed.
        self._previewing = threading.Lock()
        model = models.get(model_name)
        self._card = model.card
        with self._in_their_words():
            self.picture = images.open_image(self._source, upright=True)
            self._check_pixels(most_pixels)
            seen = runtime.preview(model, self._source, options)
            intensity_range = intensity_range_of(self.picture, options, model.card)
            self.shown = preview.display_range(self.picture, intensity_range)
            own = suffix or self._own_suffix()
            self._result = folder / f"result{own}"
            self._turned = images.open_for_saving(self._source, self._result).rotated
        self.tiles = seen.fed_pixels // (seen.plan.tile[0] * seen.plan.tile[1])
        display = self.shown or intensity_range
        self._display = None if display == IntensityRange.for_dtype(self.picture.dtype) else display
        others = images.writable_formats(self.picture)
        own_format = images.format_of_name(self._result)
        self.suffixes = [own, *(form.suffixes[0] for form in others if form is not own_format)]
        answers = seen.fed_pixels * model.card.channels * np.dtype(np.float32).itemsize
        self._answers = folder / "answers" if answers <= most_answers else None

    def _check_pixels(self, most: int) -> None:
        pixels = self.picture.width * self.picture.height * self.picture.pages
        if pixels > most:
            raise InputError(
                f"{self.name} has {pixels:,} pixels, and {most:,} are the most that is taken here; "
                "the command line takes any number: autodenoise denoise"
            )

    def _own_suffix(self) -> str:
        named = Path(self.name).suffix
        return named if named.lower() in SUFFIXES else self.picture.format.suffixes[0]

    @property
    def seconds_left(self) -> float | None:
        """How long the model will still take; None where nobody can tell yet."""
        if self.state is not State.WORKING or not self.tiles_done:
            return None
        passed = time.monotonic() - self._begun
        return passed / self.tiles_done * (self.tiles - self.tiles_done)

    def saved_name(self, suffix: str | None = None) -> str:
        """Give the name that the command line would, with this ending or its own."""
        return f"{PurePath(self.name).stem}.denoised{suffix or self._result.suffix}"

    def clean(self) -> None:
        """Denoise the picture, unless it was stopped before; the state says what came of it."""
        outcome: State = State.FAILED
        failure: AutodenoiseError | None = AutodenoiseError(_FAULT)
        try:
            self._check_wanted()
            self.state, self._begun = State.WORKING, time.monotonic()
            self._denoise(self._result, self._options, answers=self._answers, after=self._count)
            outcome, failure = State.DONE, None
        except Interrupted:
            outcome, failure = State.CANCELLED, None
        except (AutodenoiseError, OSError, MemoryError) as error:
            failure = self._said(error)
        finally:
            if outcome is not State.DONE:
                self.drop_answers()
            self.failure, self.state = failure, outcome

    def stop(self) -> None:
        """Let whatever is being done for this job end at the next tile or chunk of rows."""
        self._stop.set()

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep the files while somebody works with them.

        Raises
        ------
        Unknown
            They are removed already, or will be.
        """
        with self._counting:
            if self._unwanted:
                raise Unknown("this picture is not here, or no longer; send it again")
            self._users += 1
        try:
            yield
        finally:
            with self._counting:
                self._users -= 1
            self._remove_unwanted()

    def remove(self) -> None:
        """Remove all files, at once or when nobody uses them any more."""
        with self._counting:
            self._unwanted = True
        self._remove_unwanted()

    def saved(
        self,
        strength: float,
        suffix: str | None = None,
        *,
        strip_metadata: bool = False,
        stop: threading.Event | None = None,
    ) -> Path:
        """Give the finished picture's file at a strength, made anew unless it is the result itself.

        Parameters
        ----------
        strength
            In [0, 1].
        suffix
            Of the file; by default the result's.
        strip_metadata
            As in `DenoiseOptions`.
        stop
            Set when nobody waits for it any more.

        Raises
        ------
        Unknown, Interrupted
            The job is removed, or the file no longer wanted.
        AutodenoiseError
            Of the kinds that `runtime.denoise_file` raises.
        """
        suffix = suffix or self._result.suffix
        options = dataclasses.replace(
            self._options, strength=strength, strip_metadata=strip_metadata
        )
        if options == self._options and suffix == self._result.suffix:
            return self._result
        target = self.folder / f"{secrets.token_hex(8)}{suffix}"
        with self.in_use(), self._in_their_words():
            turned = images.open_for_saving(
                self._source, target, strip_metadata=strip_metadata
            ).rotated
            kept = self._kept_answers()
            # Answers to a picture that lay otherwise are answers to other tiles.
            if kept is None or turned != self._turned:
                self._denoise(target, options, stop=stop)
            else:
                with kept:
                    runtime.denoise_file(
                        Kept(self._card, kept),
                        self._source,
                        target,
                        options,
                        progress=lambda *_: self._check_wanted(stop),
                    )
        return target

    def sent(self, saved: Path) -> None:
        """Remove a file that `saved` made, unless it is the result itself."""
        if saved != self._result:
            saved.unlink(missing_ok=True)

    def preview_sizes(self, side: Side, page: int) -> list[tuple[int, int]]:
        """Give (width, height) of a page's preview and of its smaller versions.

        Raises
        ------
        Unknown
            There is no such page, or the job is removed.
        """
        with self.in_use(), self._previewing, self._in_their_words():
            return preview.level_sizes(self._preview(side, page))

    def preview_tile(
        self, side: Side, page: int, level: int, row: int, column: int
    ) -> bytes | None:
        """Give a tile of a preview as PNG; None where there is none.

        Raises
        ------
        Unknown
            There is no such page, or the job is removed.
        """
        with self.in_use(), self._previewing, self._in_their_words():
            return preview.read_tile(self._preview(side, page), level, row, column)

    def drop_previews(self) -> int:
        """Remove what is made again when it is asked for; give the bytes that this frees."""
        if not self._previewing.acquire(blocking=False):
            return 0
        try:
            freed = sum(size_of(path) for path in self.folder.glob("preview-*"))
            for path in self.folder.glob("preview-*"):
                shutil.rmtree(path, ignore_errors=True)
        finally:
            self._previewing.release()
        return freed

    def drop_answers(self) -> int:
        """Remove the model's answers; give the bytes that this frees.

        Another strength will take the model's time again.
        """
        freed = 0
        if self._answers is not None:
            with contextlib.suppress(FileNotFoundError):
                freed = self._answers.stat().st_size
                self._answers.unlink()
        return freed

    def _remove_unwanted(self) -> None:
        with self._counting:
            if self._unwanted and not self._users:
                shutil.rmtree(self.folder, ignore_errors=True)

    def _denoise(
        self,
        target: Path,
        options: DenoiseOptions,
        *,
        answers: Path | None = None,
        after: Callable[[], None] | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        def check_wanted(*_: object) -> None:
            self._check_wanted(stop)

        with contextlib.ExitStack() as stack:
            keep = None if answers is None else stack.enter_context(answers.open("wb"))
            model = self._models.get(self.model_name)
            watched = Watched(model, check_wanted, after, keep)
            runtime.denoise_file(watched, self._source, target, options, progress=check_wanted)

    def _check_wanted(self, stop: threading.Event | None = None) -> None:
        if self._stop.is_set() or (stop is not None and stop.is_set()):
            raise Interrupted(f"{self.name} is no longer wanted")

    def _count(self) -> None:
        self.tiles_done = min(self.tiles_done + 1, self.tiles)

    def _kept_answers(self) -> BinaryIO | None:
        if self._answers is None:
            return None
        try:
            return self._answers.open("rb")
        except FileNotFoundError:
            return None

    def _preview(self, side: Side, page: int) -> Path:
        if not 0 <= page < self.picture.pages:
            raise Unknown(f"{self.name} has {self.picture.pages} page(s), counted from 0")
        path = self.folder / f"preview-{side}-{page}"
        if not path.exists():
            source = self._source if side == "before" else self._result
            picture = images.open_image(source, upright=True)
            preview.write_preview(picture, page, path, self._display)
        return path

    @contextlib.contextmanager
    def _in_their_words(self) -> Iterator[None]:
        """Let errors call the picture what its sender calls it."""
        try:
            yield
        except (AutodenoiseError, OSError, MemoryError) as error:
            raise self._said(error) from None

    def _said(self, error: Exception) -> AutodenoiseError:
        ours = explained(self._source, error)
        files = re.escape(str(self.folder)) + r"[/\\][\w.-]+"
        return type(ours)(re.sub(files, lambda _: self.name, str(ours)))
