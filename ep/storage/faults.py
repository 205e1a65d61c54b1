"""What is wrong with a file that HDF5 cannot read: damaged, cut short, or in use by a writer."""

from __future__ import annotations

from pathlib import Path

from ep.storage import structure

DAMAGE = (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError, SystemError)
"""What h5py raises when the bytes of a file make no sense."""
IN_USE = (
    "another program has the file open for writing: close it there and try again (if that program "
    "ended abruptly, `h5clear -s FILE` removes its mark)"
)


def fault(path: Path, error: BaseException) -> str:
    """Return what is wrong with a file, and what to do about it.

    error: what h5py raised, one of `DAMAGE`.
    """
    # HDF5 marks a file while it is open for writing, and older versions only lock it.
    if "already open for write" in str(error) or is_locked(path):
        return IN_USE
    if "truncated" in str(error):
        return f"the file is cut short: {structure.RESAVE}"
    return f"the file is damaged ({first_line(error)}): {structure.RESAVE}"


def is_locked(path: Path) -> bool:
    """Return whether another program holds the lock that HDF5 takes for writing."""
    try:
        import fcntl  # not available on every system

        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (ImportError, OSError, ValueError):
        return False
    return False


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, at most 100 characters."""
    return (str(error).splitlines() or [type(error).__name__])[0][:100]
