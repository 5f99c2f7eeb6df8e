"""The command line: one file a verb, each parses, calls and prints.

Verbs import what they run inside their function, so that ``--help`` need not wait for torch.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

import typer

from autodenoise.cli.compare import compare
from autodenoise.cli.decode import decode
from autodenoise.cli.denoise import denoise
from autodenoise.cli.describe import describe
from autodenoise.cli.encode import encode
from autodenoise.cli.evaluate import evaluate
from autodenoise.cli.figures import figures
from autodenoise.cli.import_ import import_
from autodenoise.cli.lists import ListCommand
from autodenoise.cli.models import models
from autodenoise.cli.noise_profile import noise_profile
from autodenoise.cli.quantize import quantize
from autodenoise.cli.recipes import recipes
from autodenoise.cli.serve import serve
from autodenoise.cli.train import train
from autodenoise.cli.tune import tune
from autodenoise.errors import AutodenoiseError, InputError, MissingExtra, extra_of

__all__ = ["app", "main"]

_INTERNAL_FAULT = 70  # EX_SOFTWARE of sysexits.h
_TRACEBACK_VARIABLE = "AUTODENOISE_TRACEBACK"

app = typer.Typer(
    name="autodenoise",
    help="Denoising autoencoders for images: train one, measure it honestly, clean with it.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_VERBS = (
    recipes,
    describe,
    train,
    tune,
    evaluate,
    figures,
    models,
    import_,
    quantize,
    denoise,
    compare,
    encode,
    decode,
    noise_profile,
    serve,
)
for verb in _VERBS:
    # The name of one is a word of Python's own, that of another is two words.
    app.command(verb.__name__.rstrip("_").replace("_", "-"), cls=ListCommand)(verb)


@app.callback(invoke_without_command=True)
def _options(
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    if version:
        from importlib import metadata

        typer.echo(metadata.version("autodenoise"))
        raise typer.Exit


def main() -> None:
    """Run the command line; every error becomes one message and an exit code of its kind."""
    # GNU OpenMP, which torch brings along on Linux, spins for milliseconds at each of a step's
    # hundreds of barriers. Where another program wants a core too, that makes training many times
    # slower; with this it slows down by little more than what the other takes, and alone costs
    # nothing (benchmarks/results/contention.json). The library reads it when torch is first
    # imported.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    # Old keys in a recipe and old options are named in one line.
    warnings.filterwarnings("default", category=DeprecationWarning, module=r"autodenoise\b")
    warnings.showwarning = _print_warning
    try:
        app()
    except AutodenoiseError as error:
        _stop(str(error), error.exit_code)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("autodenoise"):
            raise
        missing = MissingExtra(error.name, extra_of(error.name))
        _stop(str(missing), missing.exit_code)
    except OSError as error:
        # What no room foresaw: a name too long, a folder that may not be entered.
        _stop(f"{error.filename or 'the system'}: {error.strerror or error}", InputError.exit_code)
    except Exception as error:
        if os.environ.get(_TRACEBACK_VARIABLE):
            raise
        if isinstance(error, MemoryError) or "allocate" in str(error):
            _stop(
                "not enough memory for images of this size and number; take fewer or smaller ones, "
                "a smaller batch_size, or each batch in more parts (accumulate)",
                AutodenoiseError.exit_code,
            )
        _stop(
            f"internal fault: {type(error).__name__}: {error}\nThis is a bug in autodenoise. "
            f"Run again with {_TRACEBACK_VARIABLE}=1 and report what it prints.",
            _INTERNAL_FAULT,
        )


def _print_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    typer.echo(f"autodenoise: {message}", err=True)


def _stop(message: str, code: int) -> None:
    # A file's name may be no UTF-8.
    printable = message.encode("utf-8", "backslashreplace").decode()
    typer.echo(f"autodenoise: {printable}", err=True)
    sys.exit(code)
