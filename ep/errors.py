"""The one family of errors. Each message is one line: what was given, what was expected, what to
do.

EPError
├── InputError            the input cannot be used (exit 2)
│   ├── ConfigError           a setting contradicts itself or another
│   ├── CorpusError           text that is missing, empty, too short or unreadable
│   ├── ModelError            not a model, an unknown layer, a mismatch with a dictionary
│   ├── ActivationError       NaN, infinite or wrongly shaped activations
│   ├── DictionaryFileError   damaged, foreign or newer file
│   ├── UnknownRegion         a region id the dictionary does not have
│   └── RequestError          a question without an answer here (empty text, say)
└── FailureError          the input was fine, the work failed (exit 1)
    ├── StorageError          disk full, no permission, interrupted write
    └── ServiceError          a port in use, a remote that does not answer
"""

from __future__ import annotations


class EPError(Exception):
    """Base of every error this package raises on purpose; the command line prints it as one
    line.
    """

    exit_code = 1


class InputError(EPError):
    """The input cannot be used; nothing was changed."""

    exit_code = 2


class ConfigError(InputError):
    """A setting contradicts itself or another."""


class CorpusError(InputError):
    """Text that is missing, empty, too short or unreadable."""


class ModelError(InputError):
    """Not a model, a layer the model lacks, or a model that does not fit the dictionary."""


class ActivationError(InputError):
    """Activations that are not finite or have the wrong shape."""


class DictionaryFileError(InputError):
    """A file that is damaged, foreign, or written by a newer version."""


class UnknownRegion(InputError):
    """A region id the dictionary does not have."""


class RequestError(InputError):
    """A question that has no answer for this dictionary or text."""


class FailureError(EPError):
    """The input was fine, the work failed; nothing half-written is left behind."""


class StorageError(FailureError):
    """Disk full, no permission, interrupted write."""


class ServiceError(FailureError):
    """A port in use, a remote that does not answer."""
