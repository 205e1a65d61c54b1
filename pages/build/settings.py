"""The settings of the Build page, which its link contains."""

from __future__ import annotations

from dataclasses import dataclass

from pages.shared.links import flag, text


@dataclass(frozen=True)
class Settings:
    """The settings of the Build page.

    job: the id of the job that is shown at length; empty for the one that runs, or else the newest.
    more: whether the form shows all settings.
    """

    job: str = text("job", longest=60)
    more: bool = flag("more")
