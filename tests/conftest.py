"""What every test has: its files lie in memory where the machine has room for them there.

A commit to a database waits for the disk, some milliseconds, and most tests with a store commit a few times
from its opening on. What they show is the same: a killed process loses nothing that the system has taken,
on a disk or in memory, and no test takes away the system's power.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings

# Every run tries the same examples: what fails, fails for all. `make search` tries others.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")

_MEMORY = Path("/dev/shm")  # noqa: S108  # each test has a folder of its own below it
_ROOM = 1 << 30
"""What there must be free [bytes]; a whole run keeps less than a tenth. A container may have less."""


def pytest_configure() -> None:
    """Puts the folders of this process and its children there; who has set TMPDIR knows better."""
    if "TMPDIR" not in os.environ and _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ROOM:
        os.environ["TMPDIR"] = str(_MEMORY)
        tempfile.tempdir = None
