"""The controller gone for three days in January: do the cables hold, and who leaves in time all the same?

A seeded fifth of the chargers under each node ignores its profiles and charges at full power; the rest has
its hours of the night. The silence begins before the evening peak, with every two-way charger told to give
back all it can. Weather and trips are those of the demo's scenarios; see `tests.support.silence`.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime

from tests.support.silence import silent_days

START = datetime(2024, 1, 15, 15, tzinfo=UTC)
DAYS = 3
FRACTIONS = (0.2, 0.0)


def main() -> None:
    """Prints a line for each neighbourhood and fraction."""
    for name in ("street", "lombok"):
        for fraction in FRACTIONS:
            begun = time.perf_counter()
            found = silent_days(name, START, DAYS, ignoring_fraction=fraction)
            kept = found.departures
            sys.stdout.write(
                f"{name}, {found.ignoring} chargers ignore us: {found.violations} node-quarters over a limit "
                f"(highest {100 * float(found.highest_load.max()):.0f}% of one), discharged after the "
                f"setpoints' life {found.discharged_kwh:.1f} kWh, kept {kept['kept']} of {kept['possible']} "
                f"departures, charged {found.charged_kwh:.0f} kWh ({time.perf_counter() - begun:.0f} s)\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
