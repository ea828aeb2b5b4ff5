"""`python -m sim --config FILE.json`: starts a simulator process, usually by `wijkstroom demo`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path

import structlog

from controller.domain.errors import InputProblemsError, StartUpError
from sim.config import read_config

EXIT_INPUT = 2
EXIT_START = 1


def main() -> int:
    """Runs the simulator; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m sim", description="A simulated neighbourhood.")
    parser.add_argument("--config", type=Path, required=True, help="the settings (JSON)")
    arguments = parser.parse_args()
    # Libraries speak up only when something is wrong; pymodbus calls every refused request an error.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    logging.getLogger("amqtt").setLevel(logging.ERROR)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    from sim.run import simulate

    try:
        asyncio.run(simulate(read_config(arguments.config)))
    except InputProblemsError as error:
        print(error, file=sys.stderr)  # noqa: T201  # the command line's way to say it
        return EXIT_INPUT
    except StartUpError as error:
        print(error, file=sys.stderr)  # noqa: T201  # the command line's way to say it
        return EXIT_START
    return 0


if __name__ == "__main__":
    sys.exit(main())
