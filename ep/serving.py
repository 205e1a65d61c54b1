"""Starts the explorer's Streamlit server as a child process.

Address, port, limits and theme come from `.streamlit/config.toml`, which `streamlit run app.py`
reads as well, so both ways of starting the app give the same server.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

from ep.errors import InputError, ServiceError
from ep.public import PUBLIC

ROOT = Path(__file__).resolve().parent.parent
APP = ROOT / "app.py"
CONFIG = ROOT / ".streamlit" / "config.toml"


def serve(
    host: str | None,
    port: int | None,
    open_browser: bool,
    say: Callable[[str], None],
    public: bool = False,
) -> None:
    """Serve the app until it is interrupted.

    host, port: where to listen; None takes the value of the configuration file.
    open_browser: whether to open the app in a browser.
    say: called with one line that contains the address.
    public: whether the server is for everybody, see `ep.public`.

    Raises InputError for an unknown host or port and when the app is not installed, ServiceError
    when the port is in use or the server fails.
    """
    if not APP.is_file() or importlib.util.find_spec("streamlit") is None:
        raise InputError(
            "the app is not part of this installation: clone the repository and run `make app`"
        )
    configured = tomllib.loads(CONFIG.read_text())["server"]
    host = configured["address"] if host is None else host
    port = configured["port"] if port is None else port
    if not 0 < port < 65536:
        raise InputError(f"port {port} does not exist: expected 1 to 65535")
    check_port(host, port)
    command = [sys.executable, "-m", "streamlit", "run", str(APP)]
    command += ["--server.address", host, "--server.port", str(port)]
    command += ["--server.headless", "false" if open_browser else "true"]
    browsable = "localhost" if host in ("0.0.0.0", "::") else host
    say(f"EP Explorer: http://{browsable}:{port} (Ctrl-C stops it)")
    try:
        environment = os.environ | ({PUBLIC: "1"} if public else {})
        code = subprocess.run(command, cwd=ROOT, check=False, env=environment).returncode
    except KeyboardInterrupt:
        return
    if code:
        raise ServiceError(f"the server stopped with exit code {code}: see its output above")


def check_port(host: str, port: int) -> None:
    """Raise ServiceError when the port is in use, InputError when the host is unknown."""
    unknown = InputError(f"host {host!r} is unknown: expected an address of this machine")
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise unknown from error
    family, kind, protocol, _, address = addresses[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise unknown from error
            other = f"make app PORT={port + 1}"
            raise ServiceError(
                f"port {port} on {host} is in use: stop the program there, or try `{other}`"
            ) from error
