"""`make bench`: runs the benchmarks one after the other and prints what they measure.

`python -m tests.benchmarks storage` runs only those whose name begins so. No number is asserted: these
machines are shared and noisy, and a ratio in one run says more than a time.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from pathlib import Path

# The solver's matrices are small: a second thread of the linear algebra only spins.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

PREFIX = "bench_"


def names(wanted: list[str]) -> list[str]:
    """The benchmarks that were asked for, all of them where none was."""
    found = sorted(path.stem for path in Path(__file__).parent.glob(f"{PREFIX}*.py"))
    if not wanted:
        return found
    return [name for name in found if any(name.removeprefix(PREFIX).startswith(part) for part in wanted)]


def main() -> int:
    """Runs them; 1 where nothing has the name that was asked for."""
    chosen = names(sys.argv[1:])
    if not chosen:
        sys.stderr.write(
            f"no benchmark is called {' '.join(sys.argv[1:])}: there are {', '.join(names([]))}\n"
        )
        return 1
    for name in chosen:
        begun = time.perf_counter()
        sys.stdout.write(f"\n== {name.removeprefix(PREFIX)} ==\n")
        sys.stdout.flush()
        sys.argv = [name]
        importlib.import_module(f"tests.benchmarks.{name}").main()
        sys.stdout.write(f"({time.perf_counter() - begun:.0f} s)\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
