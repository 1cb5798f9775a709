"""The server: mounts the registry's API and the catalog's pages, and runs them at an address."""

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

from cellbank.model.errors import BadInput, DiskError
from cellbank.registry.app import create_app
from cellbank.registry.service import Registry

RECEIVE_BYTES: Final = 1 << 20
STOP_SECONDS: Final = 1.5
BACKLOG: Final = 512

log = logging.getLogger(__name__)


def serve(
    folder: str,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    public: bool | None = None,
    on_ready: Callable[[str, str | None], None] = lambda _url, _token: None,
    stop: threading.Event | None = None,
) -> None:
    """Serve the place in a folder, made if needed, until someone stops it.

    Parameters
    ----------
    folder
        The folder.
    host
        The address to listen at.
    port
        The port; 0 is a free one.
    public
        Whether everyone may read packages that are pushed from now on; None leaves it as it was:
        yes for a place that is made now, no for one that was there before.
    on_ready
        Called with our URL, and the admin's token when it was made just now, as soon as we answer.
    stop
        Stops the server when it is set; Ctrl-C and SIGTERM do so too.

    Raises
    ------
    BadInput
        The folder holds other files, or the port is taken.
    NewerFormat
        The folder needs a newer cellbank.
    DiskError
        The folder cannot be written to.
    """
    over = threading.Event()
    listening = _listen(host, port)
    try:
        try:
            registry, token = Registry.open(folder, public=public)
        except OSError as error:
            if isinstance(error, DiskError):
                raise
            raise DiskError(folder, error.strerror or "it cannot be used") from None
        _log_to_stderr()
        url = _url(host, listening.getsockname()[1])
        asyncio.run(_run(registry, listening, lambda: on_ready(url, token), stop, over))
    finally:
        over.set()
        listening.close()


def create_server(registry: Registry) -> Any:
    """Return the application at our address: the API, and pages where the extra is installed."""
    api = create_app(registry)
    try:
        from cellbank.catalog.app import WithPages
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("cellbank"):
            raise
        log.info("no pages for browsers: %s is not installed", error.name)
        return api
    return WithPages(api, registry)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections inherit it: the last piece of an answer must not wait for an acknowledgement.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listening.close()
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        why = "somebody listens there already" if taken else f"it cannot be listened on ({error})"
        advice = (
            "Choose another --port; 0 is a free one."
            if taken or host in ("127.0.0.1", "0.0.0.0")  # noqa: S104  only compared
            else "Name an address of this machine with --host, and a --port that you may use."
        )
        raise BadInput(f"{host}:{port}: {why}", advice) from None
    listening.setblocking(False)
    return listening


def _url(host: str, port: int) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host)  # noqa: S104  shown, not bound
    return f"http://{shown or (f'[{host}]' if ':' in host else host)}:{port}"


def _log_to_stderr() -> None:
    logger = logging.getLogger("cellbank")
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)


async def _run(
    registry: Registry,
    listening: socket.socket,
    ready: Callable[[], None],
    stop: threading.Event | None,
    over: threading.Event,
) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def on_signal() -> None:
        stopped.set()
        # A disk may keep a thread waiting for long. What is said to be done is durable, and the
        # rest goes on after a restart: so we may go at any time.
        threading.Thread(target=_leave_unless, args=[over], daemon=True).start()

    for number in (signal.SIGINT, signal.SIGTERM):
        # Only the main thread may take signals; elsewhere `stop` is the way.
        with contextlib.suppress(RuntimeError, ValueError):
            loop.add_signal_handler(number, on_signal)
    server = _server(create_server(registry), listening)
    serving = loop.create_task(server.serve())
    waits = [loop.create_task(stopped.wait()), serving]
    if stop is not None:
        waits.append(loop.create_task(_watch(stop)))
    loop.call_soon(ready)
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    server.stop()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(serving, STOP_SECONDS / 2)
    for task in waits:
        task.cancel()


def _leave_unless(over: threading.Event) -> None:
    if not over.wait(STOP_SECONDS):
        os._exit(0)


async def _watch(stop: threading.Event) -> None:
    while not stop.is_set():
        await asyncio.sleep(0.05)


def _server(app: Any, listening: socket.socket) -> Any:
    """Return granian, in this process, on a socket that is ours."""
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings
    from granian.net import SocketHolder  # type: ignore[attr-defined]
    from granian.server.embed import Server

    class OnOurSocket(Server):
        """granian's embedded server; it would bind a shared port, and hide that one is taken."""

        def _init_shared_socket(self) -> None:
            # It closes the descriptor when it stops.
            holder: Any = SocketHolder
            self._shd = holder(listening.detach(), False, BACKLOG)

    return OnOurSocket(
        app,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(max_buffer_size=RECEIVE_BYTES),
        websockets=False,
        log_enabled=False,
    )
