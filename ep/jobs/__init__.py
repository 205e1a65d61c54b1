"""Builds that run on their own: each in a process that outlives the page and the server.

A job is a folder that says what to build, for whom, in which process, and how it stands; see
`ep.jobs.job`. `start` starts one, `listed` finds them all again. Jobs of one device run one after
the other, in the order in which they were started; see `ep.jobs.turn`. There is no server: every
job waits and ends by itself.
"""

from __future__ import annotations

from ep.jobs.acting import cancel, delete, pause, resume, start
from ep.jobs.job import Job, active, listed, opened

__all__ = ["Job", "active", "cancel", "delete", "listed", "opened", "pause", "resume", "start"]
