"""`serve`: a folder becomes a registry."""

import click

from cellbank.cli import stopping
from cellbank.cli.console import Console, emit
from cellbank.cli.group import command
from cellbank.cli.names import FOLDER, reader_options, who_reads
from cellbank.cli.text import safe
from cellbank.model.errors import BadInput


@command("serve", example="cellbank serve ./registry --port 8080", json=False)
@click.argument("folder", metavar="FOLDER", type=FOLDER)
@click.option(
    "--host", metavar="HOST", default="127.0.0.1", show_default=True, help="Where to listen."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    default=8080,
    show_default=True,
    help="0: a free one.",
)
@reader_options()
def serve(console: Console, folder: str, host: str, port: int, public: bool, private: bool) -> None:
    """Serve a folder as a registry, until Ctrl-C.

    The folder is made if needed. The admin token is printed once, at the first start: keep it,
    pushing needs it.
    """
    try:
        from cellbank import server
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("cellbank"):
            raise
        missing = f"serve needs {error.name}, which is not installed"
        raise BadInput(missing, "Install it: pip install 'cellbank[registry]'") from None

    def ready(url: str, token: str | None) -> None:
        # Scripts wait for these lines, so --quiet does not silence them.
        emit(f"Listening on {safe(url)}\n")
        if token:
            emit(f"Admin token: {token}\n")
            console.note(f"The token is not shown again. To sign in: cellbank login {url}")
        console.note(_who_reads(folder))

    everyone = who_reads(public=public, private=private)
    stopping.release()
    server.serve(folder, host=host, port=port, public=everyone, on_ready=ready)


def _who_reads(folder: str) -> str:
    from cellbank.registry.tokens import open_settings
    from cellbank.storage.local import LocalBucket

    settings, _ = open_settings(LocalBucket(folder), fresh=False, public=None)
    if settings.public:
        return "New packages will be public: everyone may read them (else: --private)."
    return "New packages will be private: who is not signed in cannot read them (else: --public)."
