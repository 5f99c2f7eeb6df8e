"""``autodenoise serve``."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["serve"]


def serve(
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="0 for any that is free.", show_default="8008"),
    ] = None,
    host: Annotated[
        str, typer.Option(help="The address to listen on; only this machine reaches the default.")
    ] = "127.0.0.1",
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Serve a local page: drop a picture, see it clean.

    Nothing leaves this machine. Ctrl-C ends it, and removes all that was sent.
    """
    import threading
    import webbrowser

    from autodenoise import web

    def on_ready(address: str, private: bool) -> None:
        typer.echo(f"autodenoise is at {address}  (Ctrl-C ends it)")
        if not private:
            typer.echo(
                f"warning: everyone who can reach {host} can use this page, without a password and "
                "without encryption",
                err=True,
            )
        if open_page:
            # Some browsers return when the page has come, which needs the server.
            threading.Thread(target=webbrowser.open, args=[address], daemon=True).start()

    web.serve(host, port, on_ready=on_ready)
