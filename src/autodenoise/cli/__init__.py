"""The command line: one file per command, each parses, calls and prints.

Commands import what they run inside their function, so that ``--help`` does not wait for torch.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

import typer

from autodenoise.cli.benchmark import benchmark
from autodenoise.cli.commands import Command, CommandGroup
from autodenoise.cli.compare import compare
from autodenoise.cli.decode import decode
from autodenoise.cli.denoise import denoise
from autodenoise.cli.describe import describe
from autodenoise.cli.encode import encode
from autodenoise.cli.evaluate import evaluate
from autodenoise.cli.figures import figures
from autodenoise.cli.import_ import import_
from autodenoise.cli.models import models
from autodenoise.cli.noise_profile import noise_profile
from autodenoise.cli.quantize import quantize
from autodenoise.cli.recipes import recipes
from autodenoise.cli.serve import serve
from autodenoise.cli.train import train
from autodenoise.cli.tune import tune
from autodenoise.errors import AutodenoiseError, InputError, MissingExtra, extra_of

__all__ = ["app", "main"]

_INTERNAL_ERROR = 70  # EX_SOFTWARE of sysexits.h
_TRACEBACK_VARIABLE = "AUTODENOISE_TRACEBACK"

app = typer.Typer(
    name="autodenoise",
    help="Train denoising autoencoders for images, measure them, and denoise image files.",
    cls=CommandGroup,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COMMANDS = {
    "Use a model": (denoise, compare, models, serve),
    "Train": (train, tune, recipes, describe, import_, quantize),
    "Measure": (evaluate, benchmark, figures, noise_profile, encode, decode),
}
for panel, commands in _COMMANDS.items():
    for command in commands:
        # `import_` avoids a keyword of Python; `noise_profile` is two words.
        name = command.__name__.rstrip("_").replace("_", "-")
        app.command(name, cls=Command, rich_help_panel=panel)(command)


@app.callback(invoke_without_command=True)
def _options(
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    if version:
        from importlib import metadata

        typer.echo(metadata.version("autodenoise"))
        raise typer.Exit


def main() -> None:
    """Run the command line; print each error as one message and exit with its code."""
    # GNU OpenMP, which torch uses on Linux, spins for milliseconds at each of a step's hundreds of
    # barriers. Where another program needs a core too, that makes training many times slower; with
    # this setting it slows down by little more than the other program's share, and costs nothing
    # otherwise (benchmarks/results/contention.json). The library reads it when torch is imported.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("default", category=DeprecationWarning, module="autodenoise")
            warnings.showwarning = _print_warning
            app()
    except AutodenoiseError as error:
        _exit(str(error), error.exit_code)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("autodenoise"):
            raise
        missing = MissingExtra(error.name, extra_of(error.name))
        _exit(str(missing), missing.exit_code)
    except OSError as error:
        # Not handled closer to its cause: a name too long, a folder without permission.
        _exit(f"{error.filename or 'the system'}: {error.strerror or error}", InputError.exit_code)
    except Exception as error:
        if os.environ.get(_TRACEBACK_VARIABLE):
            raise
        if isinstance(error, MemoryError) or "allocate" in str(error):
            _exit(
                "not enough memory for images of this size and number; use fewer or smaller "
                "images, a smaller batch_size, or gradient accumulation (accumulate)",
                AutodenoiseError.exit_code,
            )
        _exit(
            f"internal error: {type(error).__name__}: {error}\nThis is a bug in autodenoise. "
            f"Run again with {_TRACEBACK_VARIABLE}=1 and report the traceback.",
            _INTERNAL_ERROR,
        )


def _print_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    typer.echo(f"autodenoise: warning: {' '.join(str(message).split())}", err=True)


def _exit(message: str, code: int) -> None:
    # File names may contain bytes that are not UTF-8.
    printable = message.encode("utf-8", "backslashreplace").decode()
    typer.echo(f"autodenoise: {printable}", err=True)
    sys.exit(code)
