"""A build's settings as the arguments of `ep build`."""

from __future__ import annotations

from dataclasses import MISSING, fields

from ep.config import BuildConfig


def arguments(config: BuildConfig) -> list[str]:
    """Return the arguments with which `ep build` has the same settings.

    Values that are the default are left out, and so is `extra`, which is not an option.
    """
    given: list[str] = []
    model = ""
    for number, field in enumerate(one for one in fields(config) if "help" in one.metadata):
        value = getattr(config, field.name)
        if number == 0:
            model = str(value)
            continue
        if field.default is not MISSING and value == field.default:
            continue
        flag = "--" + (field.metadata["flag"] or field.name).replace("_", "-")
        if value is True:
            given.append(flag)
        elif value is not None and value is not False:
            # flag=value, because a value may begin with a dash
            values = value if isinstance(value, tuple) else (value,)
            given += [
                f"{flag}={one:g}"
                if isinstance(one, float) and one == float(f"{one:g}")
                else f"{flag}={one}"
                for one in values
            ]
    return [*given, "--", model]
