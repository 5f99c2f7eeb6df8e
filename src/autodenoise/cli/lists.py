"""Options that take a list: ``--models a b c``."""

from __future__ import annotations

from typing import Any

import typer.core

__all__ = ["ListCommand"]


class ListCommand(typer.core.TyperCommand):
    """A command whose options with a metavar such as ``NAME...`` take all up to the next option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Say such an option again before each thing of its list, as click wants it."""
        lists = {
            said
            for option in self.params
            if (option.metavar or "").endswith("...")
            for said in option.opts
            if said.startswith("-")
        }
        told: list[str] = []
        current, first = "", True
        for argument in args:
            if argument.startswith("-"):
                current, first = argument if argument in lists else "", True
                told.append(argument)
            else:
                told += [argument] if first or not current else [current, argument]
                first = False
        return super().parse_args(ctx, told)
