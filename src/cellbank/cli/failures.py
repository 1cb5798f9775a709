"""The one place where errors become words and exit codes."""

import errno
import os
import re
import sys
from typing import Final

import click

from cellbank.cli.console import emit
from cellbank.cli.text import safe, without_secrets
from cellbank.model.errors import BadImage, CellbankError, DiskError, Interrupted, Unreachable
from cellbank.model.extras import lacking

USAGE: Final = 2
UNEXPECTED: Final = 70
BROKEN_PIPE: Final = 141
"""What a shell says of a tool whose reader went away."""

_IMAGE: Final = "Get the file again, or save it anew from where it came."

secrets: set[str] = set()
"""What must never be written; `login` adds the token it was given."""

_WORDS: Final = {
    errno.ENOSPC: ("no space left", "Free space, then run the same command: it goes on."),
    errno.EDQUOT: ("your quota is used up", "Free space, then run the same command: it goes on."),
    errno.EACCES: ("permission denied", "Look at who may read and write there (ls -ld)."),
    errno.EPERM: ("not permitted", "Look at who may read and write there (ls -ld)."),
    errno.EROFS: ("the file system is read-only", "Choose another place (CELLBANK_HOME)."),
    errno.EMFILE: ("too many open files", "Allow more (ulimit -n), then run the command again."),
    errno.EIO: ("the disk cannot read or write this", "Look after the disk (dmesg)."),
}


def report(error: BaseException) -> int:
    """Write what failed and what to do about it to stderr; return the exit code."""
    if os.environ.get("CELLBANK_DEBUG"):
        import traceback

        full = "".join(traceback.format_exception(error))
        emit("".join(f"{_clean(text)}\n" for text in full.splitlines()), to_stdout=False)
    if isinstance(error, BrokenPipeError) and not isinstance(error, CellbankError):
        _forget_stdout()
        return BROKEN_PIPE
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, click.ClickException):
        _say(_of_click(error), _try_help(error))
        return USAGE
    known = as_known(error)
    if known is None:
        _say(
            f"unexpected error: {type(error).__name__}: {error}",
            "This is a fault of cellbank. The same with CELLBANK_DEBUG=1 set shows all of it.",
        )
        return UNEXPECTED
    if isinstance(known, DiskError):
        _forget_stdout_if_full()
    _say(known.message, known.advice or (_IMAGE if isinstance(known, BadImage) else ""))
    return known.exit_code


def as_known(error: BaseException) -> CellbankError | None:
    """Return the error of our tree that an exception means, or None."""
    if isinstance(error, CellbankError):
        return error
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return Interrupted()
    if isinstance(error, (ConnectionError, TimeoutError)):
        return Unreachable("the network", _reason(error))
    if isinstance(error, OSError):
        return _of_disk(error)
    return lacking(error) if isinstance(error, ModuleNotFoundError) else None


def _of_disk(error: OSError) -> DiskError:
    where = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else "the disk"
    word, advice = _WORDS.get(error.errno or 0, ("", ""))
    known = DiskError(where, word or _reason(error))
    known.advice = advice or known.advice
    return known


def _reason(error: OSError) -> str:
    return (error.strerror or str(error) or type(error).__name__).lower()


def _of_click(error: click.ClickException) -> str:
    return " ".join(error.format_message().split())


def _try_help(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    if re.search(r"(^|\W)[–—]-*\w", error.format_message()):
        return "An option begins with two plain hyphens: --"
    takes_condition = context and any(one.name == "where" for one in context.command.params)
    if takes_condition and "unexpected extra argument" in error.format_message():
        return "A condition, or SQL, stands in quotes: --where \"gene = 'TJP1'\""
    return f"See: {context.command_path if context else 'cellbank'} --help"


def _clean(text: str) -> str:
    known = {*secrets, os.environ.get("CELLBANK_TOKEN", "")} - {""}
    return safe(without_secrets(text, known))


def _say(message: str, advice: str) -> None:
    first, *more = message.splitlines() or [""]
    lines = [f"cellbank: {_clean(first)}", *map(_clean, more)]
    if advice:
        lines += [f"  {_clean(text)}" for text in advice.splitlines()]
    emit("".join(f"{text}\n" for text in lines), to_stdout=False)


def _forget_stdout() -> None:
    """Send what is left in the buffer nowhere, or Python would complain of it when it ends."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _forget_stdout_if_full() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        _forget_stdout()
