"""The command `cellbank`: the public functions at a prompt. It parses, calls and prints."""

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn


def main() -> NoReturn:
    """Run the command as a process: the arguments are those of the process, and it ends here."""
    from cellbank.cli.stopping import Stopper, current, leave, leave_stopped

    _prepare_streams()
    stopper = Stopper()
    current.append(stopper)
    try:
        stopper.start()
        code = run(sys.argv[1:])
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
    except KeyboardInterrupt:
        # Before the command began (modules are being imported), or while it says its last words.
        leave_stopped()
    # Not sys.exit: a thread may still wait for a server that does not answer, and one of a
    # library's own must not meet a Python that is being taken down (the web server's aborts).
    leave(code)


def run(arguments: Sequence[str]) -> int:
    """Run the command with these arguments; return its exit code."""
    from cellbank.cli.console import Console
    from cellbank.cli.failures import report
    from cellbank.cli.group import make_root

    root = make_root()
    if os.environ.get("_CELLBANK_COMPLETE"):
        return _complete(root)
    try:
        with root.make_context("cellbank", list(arguments), obj=Console()) as context:
            root.invoke(context)
        sys.stdout.flush()
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001
        return report(error)
    return 0


def _complete(root: object) -> int:
    """Answer the shell; it must never meet an error of ours."""
    import click
    from click.shell_completion import shell_complete

    from cellbank.cli.console import Console

    assert isinstance(root, click.Command)  # noqa: S101
    wanted = os.environ["_CELLBANK_COMPLETE"]
    try:
        return shell_complete(root, {"obj": Console()}, "cellbank", "_CELLBANK_COMPLETE", wanted)
    except Exception:  # noqa: BLE001
        return 2


def _prepare_streams() -> None:
    """Make the three streams usable: closed ones lead nowhere, odd characters are spelled out."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            # Else the first file that is opened would get the number, and our words.
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, os.fdopen(number, mode))
        elif mode == "w":
            stream.reconfigure(errors="backslashreplace")
