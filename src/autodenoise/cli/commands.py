"""What typer lacks: list options, former spellings, plain help texts, advice for image files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
import typer.core

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Command", "CommandGroup"]

# Accepted for one release, with a note.
_FORMER_OPTIONS = {"--takes": "--input-range", "--gives": "--output-range"}
_IMAGES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".avif", ".heic", ".bmp", ".gif"}
_COMMAND_FOR = {".toml": "train", ".keras": "import", ".h5": "import"}


class Command(typer.core.TyperCommand):
    """A command with list options (``--models a b c``) and plain help texts."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        # Typer would read brackets as rich markup, and drop them.
        self.help = _escape(self.help)
        parameters: list[Any] = self.params
        for parameter in parameters:
            parameter.help = _escape(parameter.help)

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, with ``--help``."""
        return _show_flags_without_type(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat an option with a metavar such as ``NAME...`` before each of its values."""
        lists = {
            name
            for option in self.params
            if (option.metavar or "").endswith("...")
            for name in option.opts
            if name.startswith("-")
        }
        known = {name for option in self.params for name in option.opts}
        repeated: list[str] = []
        current, first = "", True
        for argument in args:
            if argument.startswith("-"):
                argument = _current_name(argument, known)
                current, first = argument if argument in lists else "", True
                repeated.append(argument)
            else:
                repeated += [argument] if first or not current else [current, argument]
                first = False
        return super().parse_args(ctx, repeated)


class CommandGroup(typer.core.TyperGroup):
    """The commands; an image file instead of a command gets the right one as advice."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, with ``--help``."""
        return _show_flags_without_type(super().get_params(ctx))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command."""
        from autodenoise.errors import UsageError
        from autodenoise.files import quoted

        name = args[0]
        suffix = Path(name).suffix.lower()
        if name not in self.commands and (Path(name).exists() or suffix in _IMAGES):
            command = _COMMAND_FOR.get(suffix, "denoise")
            raise UsageError(
                f"{name} is not a command. To {command} it, run: "
                f"autodenoise {command} {quoted(Path(name))}"
            )
        return super().resolve_command(ctx, args)


def _current_name(option: str, known: set[str]) -> str:
    name, *value = option.split("=", 1)
    current = _FORMER_OPTIONS.get(name)
    if current is None or current not in known:
        return option
    typer.echo(f"note: {name} is deprecated; use {current}", err=True)
    return "=".join([current, *value])


def _show_flags_without_type(parameters: Iterable[Any]) -> list[Any]:
    listed = list(parameters)
    for parameter in listed:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    return listed


def _escape(text: str | None) -> str | None:
    return text and text.replace("[", r"\[")
