"""Starts the explorer's Streamlit server as a child process, after making sure that it can
start.
"""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
from pathlib import Path

from ep.errors import InputError, ServiceError

APP = Path(__file__).resolve().parent.parent / "app.py"


def serve(host: str = "localhost", port: int = 8501, open_browser: bool = True) -> None:
    """Serve until interrupted.

    ServiceError when the port is taken, InputError when the app is not installed.
    """
    if not APP.is_file() or importlib.util.find_spec("streamlit") is None:
        raise InputError(
            "the app is not part of this installation: clone the repository and run `make app` "
            "there"
        )
    if not 0 < port < 65536:
        raise InputError(f"port {port} does not exist: expected 1 to 65535")
    check_port(host, port)
    command = [sys.executable, "-m", "streamlit", "run", str(APP)]
    command += ["--server.address", host, "--server.port", str(port)]
    command += ["--server.headless", "false" if open_browser else "true"]
    try:
        code = subprocess.run(command, cwd=APP.parent, check=False).returncode
    except KeyboardInterrupt:
        return
    if code:
        raise ServiceError(f"the server stopped with code {code}: see the lines above")


def check_port(host: str, port: int) -> None:
    """Raise ServiceError when something already listens on the port."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            free = f"make app PORT={port + 1}"
            raise ServiceError(
                f"port {port} on {host} is in use: close what runs there, or try `{free}`"
            ) from error
