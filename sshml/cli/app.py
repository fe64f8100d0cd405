"""The application, to which each family of commands adds its own."""

from typing import Annotated

import typer

app = typer.Typer(
    name="sshml",
    help="SSH chains, networks that recognise their topological phase, and what survives their compression.",
    pretty_exceptions_enable=False,
)


def _version(asked):
    if asked:
        from importlib.metadata import version

        print(f"sshml {version('sshml')}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
):
    pass
