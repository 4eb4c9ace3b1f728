"""WebServer: waitress in a thread, for `run`, `web` and the demo."""

import logging
import socket
from threading import Thread

from flask import Flask
from waitress import create_server

from core.errors import ConflictError

# It warns of every request that waits for a thread; that is what the queue is for.
logging.getLogger("waitress.queue").setLevel(logging.ERROR)


class PortTakenError(ConflictError):
    """Something else listens there."""

    code = "port_taken"


class WebServer:
    """Serves one application on one address."""

    def __init__(self, app: Flask, *, host: str, port: int, threads: int) -> None:
        """Bind the address; port 0 takes a free one. Raises PortTakenError."""
        try:
            self._server = create_server(
                app,
                host=host,
                port=port,
                threads=threads,
                ident=None,
                clear_untrusted_proxy_headers=True,
            )
        except OSError as error:
            raise PortTakenError(
                f"{host}:{port} cannot be listened on: {error.strerror or error}",
                field="port",
                remedy="choose another with --port, or ECHELONX_PORT; 0 takes a free one",
            ) from None
        self._thread = Thread(target=self._server.run, name="web", daemon=True)

    def start(self) -> None:
        """Start serving."""
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        port: int = self._server.effective_port
        return port

    @property
    def alive(self) -> bool:
        """Whether it is serving."""
        return self._thread.is_alive()

    def stop(self, timeout: float = 5.0) -> None:
        """Stop listening; requests in progress get a moment to end."""
        self._server.close()
        self._thread.join(timeout)


def free_port(preferred: int = 0) -> int:
    """Return `preferred` if nothing listens there on loopback, else a port that is free."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            bound: int = probe.getsockname()[1]
            return bound
    raise PortTakenError("this machine has no free port", remedy="close something")
