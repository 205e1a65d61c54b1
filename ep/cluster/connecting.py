"""The connection to a Ray cluster.

Ray tries for minutes to reach an address that does not answer, cannot be interrupted meanwhile, and
writes about it to stderr. So the port is tried first, and then a connection by a process of its own
that is ended when its time is up. Only after that does this process connect.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from typing import Any

from ep.errors import ConfigError, ServiceError

LOCAL, AUTO = "local", "auto"
"""Addresses: a cluster of this machine, started for one build; and the one it is part of."""
PORT_S, TRIAL_S = 5.0, 30.0
"""Seconds in which a port must answer, and a connection be made."""
_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]):(?P<port>\d{1,5})")
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # it would report to its makers, and say so
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the coming default; the present one warns
}
_TRIAL = """
import logging, sys, ray
try:
    ray.init(address=sys.argv[1], logging_level=logging.CRITICAL, log_to_driver=False)
except Exception as error:
    sys.exit(" ".join(str(error).split())[:300] or type(error).__name__)
"""


def check_address(address: str) -> None:
    """Raise unless an address can be connected to, within `PORT_S` and `TRIAL_S` seconds.

    Raises ConfigError for what is no address, ServiceError for one that does not answer as a Ray
    cluster, and ModuleNotFoundError without Ray.
    """
    import ray

    if address == LOCAL or ray.is_initialized():
        return
    if address != AUTO:
        match = _ADDRESS.fullmatch(address)
        if match is None or not 0 < int(match["port"]) < 65_536:
            raise ConfigError(
                f"ray is {address!r}: expected HOST:PORT of a Ray head, such as 10.0.0.5:6379, "
                f'"{AUTO}" or "{LOCAL}"'
            )
        _check_port(address, match["host"].strip("[]"), int(match["port"]))
    _try_connection(address)


def _check_port(address: str, host: str, port: int) -> None:
    try:
        socket.create_connection((host, port), PORT_S).close()
    except OSError as error:
        why = error.strerror or str(error) or type(error).__name__
        raise ServiceError(
            f"no Ray cluster answers at {address} ({why}): start its head with `ray start --head`, "
            "and check host and port"
        ) from error


def _try_connection(address: str) -> None:
    """Connect by a process of its own, whose attempts can be ended."""
    trial = [sys.executable, "-c", _TRIAL, address]
    try:
        done = subprocess.run(
            trial, env=os.environ | _QUIET, capture_output=True, text=True, timeout=TRIAL_S
        )
        why = done.stderr.strip().splitlines()[-1:] if done.returncode else None
        if why and "InvalidAuthToken" in done.stderr:  # Ray's exception does not say it
            why = ["it refuses the token of this process: set RAY_AUTH_TOKEN to that of its head"]
    except subprocess.TimeoutExpired:
        why = [f"no answer within {TRIAL_S:.0f} s"]
    if why is not None:
        raise ServiceError(
            f"no Ray cluster can be joined at {address} ({''.join(why) or 'it ended'}): run the "
            "build on a machine of that cluster, with the same versions of Python and Ray"
        )


def connect(address: str, workers: int | None) -> bool:
    """Connect this process; return whether it was not connected before, and should disconnect.

    workers: how many a cluster of this machine must have room for.
    """
    import ray

    if ray.is_initialized():
        return False
    os.environ.update({name: os.environ.get(name, value) for name, value in _QUIET.items()})
    options: dict[str, Any] = {"logging_level": logging.CRITICAL, "log_to_driver": False}
    if address == LOCAL:
        processors = max(os.cpu_count() or 1, workers or 1)
        options |= {"num_cpus": processors, "include_dashboard": False}
    is_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, **options)
    except (RuntimeError, ConnectionError, ValueError, OSError) as error:
        raise ServiceError(f"Ray cannot be started ({' '.join(str(error).split())})") from error
    finally:
        if is_main:
            signal.signal(signal.SIGTERM, handler)  # Ray sets one that ends without saving
    _silence()
    return True


def _silence() -> None:
    """Keep Ray's messages about lost processes off stdout: what they mean is said by `Workers`.

    Ray has no setting for them.
    """
    from ray._private import worker

    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = lambda *_, **__: None


def disconnect() -> None:
    """End the connection of this process, and a cluster that was started for it."""
    import ray

    ray.shutdown()
