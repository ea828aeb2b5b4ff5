"""How long `wijkstroom verify` takes for a million postings, as a process of its own on one file a day.

Goal: under 60 s.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.sealed import KEY, a_day

DAYS = 10
POSTINGS_A_DAY = 100_000


def _write(folder: Path) -> list[Path]:
    files, before = [], None
    for place in range(DAYS):
        day = a_day(place, POSTINGS_A_DAY, before)
        before = day.sealed.seal
        files.append(folder / f"ledger-{place}.ndjson")
        files[-1].write_bytes(day.file())
    return files


def main() -> None:
    """Prints what the command says, and its time, memory and input."""
    with TemporaryDirectory() as folder:
        files = _write(Path(folder))
        size_mb = sum(file.stat().st_size for file in files) / 1e6
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "controller", "verify", *files, "--key", KEY.public_key.hex()],
            capture_output=True,
            text=True,
            check=True,
        )
        spent_s = time.perf_counter() - begun
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    lines = [
        done.stdout.rstrip(),
        f"verified in {spent_s:.1f} s (goal: under 60), {used.ru_utime + used.ru_stime:.1f} s computing",
        f"{size_mb:.0f} MB read, at most {used.ru_maxrss / 1024:.0f} MiB of memory",
    ]
    print("\n".join(lines))  # noqa: T201  # a bench prints


if __name__ == "__main__":
    main()
