"""The exceptions that this package raises on purpose.

Each message is one line that states what was given, what was expected and what to do.

EPError
├── InputError            the input cannot be used (exit code 2)
│   ├── ConfigError           a setting is out of range or contradicts another
│   ├── CorpusError           text that is missing, empty, too short or unreadable
│   ├── ModelError            not a model, an unknown layer, a mismatch with a dictionary
│   │   └── ChatError             chat messages that the model's template cannot render
│   ├── ActivationError       NaN, infinite or wrongly shaped activations
│   ├── DictionaryFileError   a damaged, foreign or newer file, or one in use
│   ├── UnknownRegion         a region id that the dictionary does not have
│   └── RequestError          a request that this dictionary, text or model cannot answer
└── FailureError          the input was fine, but the work failed (exit code 1)
    ├── StorageError          disk full, no permission, interrupted write
    └── ServiceError          a port in use, a remote that does not answer
"""

from __future__ import annotations


class EPError(Exception):
    """Base class of the errors of this package; the command line prints them without traceback."""

    exit_code = 1


class InputError(EPError):
    """The input cannot be used; nothing was changed."""

    exit_code = 2


class ConfigError(InputError):
    """A setting is out of range, or contradicts another one."""


class CorpusError(InputError):
    """Text that is missing, empty, too short or unreadable."""


class ModelError(InputError):
    """Not a model, a layer the model does not have, or a model that does not fit the dictionary."""


class ChatError(ModelError):
    """Chat messages that the model's template refuses, or renders so that they cannot be located.

    Other messages may be fine.
    """


class ActivationError(InputError):
    """Activations that are not finite or have the wrong shape."""


class DictionaryFileError(InputError):
    """A file that is damaged, foreign, in use, or written by a newer version."""


class UnknownRegion(InputError):
    """A region id that the dictionary does not have."""


class RequestError(InputError):
    """A request that this dictionary, text or model cannot answer, such as an empty text."""


class FailureError(EPError):
    """The input was fine, but the work failed; no half-written file is left behind."""


class StorageError(FailureError):
    """Disk full, no permission, interrupted write."""


class ServiceError(FailureError):
    """A port in use, or a remote server that does not answer."""
