"""Ctrl-C and SIGTERM: the command stops within two seconds, whatever it waits for."""

import contextlib
import os
import signal
import threading
import time
from types import FrameType
from typing import Final, NoReturn

PATIENCE_SECONDS: Final = 1.5
STOPPED: Final = 130
_LAST_WORDS: Final = (
    b"cellbank: stopped\n  What was finished is kept: the same command goes on from there.\n"
)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


class Stopper:
    """Turns SIGINT and SIGTERM into `KeyboardInterrupt`, and ends the process if that takes long.

    Python runs its handlers between two steps of the main thread; while that waits inside a
    library, for a server or a disk, nothing would happen. So a thread looks after it. To end
    without tidying up is allowed: any kill leaves the old state or the new.
    """

    def __init__(self) -> None:
        self._mine, self._wakes = os.pipe()
        os.set_blocking(self._wakes, False)
        self._off = False

    def start(self) -> None:
        """Listen from now on."""
        for number in (signal.SIGINT, signal.SIGTERM):
            # Whoever started us may have had it ignored (nohup, &): so it stays.
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _interrupt)
        signal.set_wakeup_fd(self._wakes, warn_on_full_buffer=False)
        threading.Thread(target=self._watch, name="stopper", daemon=True).start()

    def release(self) -> None:
        """Leave the signals to somebody else from now on."""
        self._off = True
        signal.set_wakeup_fd(-1)

    def _watch(self) -> None:
        stops = {signal.SIGINT, signal.SIGTERM}
        while True:
            numbers = os.read(self._mine, 64)
            if not self._off and stops & set(numbers):
                time.sleep(PATIENCE_SECONDS)
                leave_stopped()


def leave(code: int, words: bytes = b"") -> NoReturn:
    """End the process now, without waiting for any thread."""
    with contextlib.suppress(OSError):
        if words and os.isatty(2):
            # A bar hides the cursor.
            os.write(2, b"\x1b[?25h\n")
        os.write(2, words)
    os._exit(code)


def leave_stopped() -> NoReturn:
    """End the process now, because it was told to stop."""
    leave(STOPPED, _LAST_WORDS)


current: list[Stopper] = []
"""The stopper of this process, if the command was started as one."""


def release() -> None:
    """Leave the signals to somebody else, for a command that has its own way to stop."""
    for stopper in current:
        stopper.release()
