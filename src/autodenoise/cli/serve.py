"""``autodenoise serve``."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["serve"]


def serve(
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="The port; 0 for any free port.", show_default="8008"),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            help="The address to listen on; the default is reachable from this machine only."
        ),
    ] = "127.0.0.1",
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Serve a local web page that denoises images.

    Nothing leaves this machine. Ctrl-C stops the server and deletes all uploaded images.
    """
    import threading
    import webbrowser

    from autodenoise import web

    def on_ready(address: str, private: bool) -> None:
        typer.echo(f"autodenoise is at {address}  (Ctrl-C stops it)")
        if not private:
            typer.echo(
                f"warning: anyone who can reach {host} can use this page; it has no password and "
                "no encryption",
                err=True,
            )
        if open_page:
            # Some browsers return only after they have loaded the page, which needs the server.
            threading.Thread(target=webbrowser.open, args=[address], daemon=True).start()

    web.serve(host, port, on_ready=on_ready)
