"""The command line `wijkstroom`.

Wrong input ends with every problem on a line of its own and exit status 2; something outside that keeps
a command from starting (a port, a database) with one line and exit status 1.
"""

from __future__ import annotations

import asyncio
import getpass
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import structlog
import typer
from rich.console import Console

from controller.domain.errors import InputProblemsError, StartUpError, WijkstroomError

EXIT_INPUT = 2
EXIT_START = 1

app = typer.Typer(
    name="wijkstroom",
    help="The electricity controller of a neighbourhood.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
token_app = typer.Typer(help="Access tokens for the API and the console.", no_args_is_help=True)
app.add_typer(token_app, name="token")

_errors = Console(stderr=True, highlight=False, soft_wrap=True)


@app.command()
def demo(
    *,
    scenario: Annotated[str, typer.Option(help="street, lombok, or a scenario file (TOML).")] = "street",
    speed: Annotated[
        float | None, typer.Option(help="Simulated seconds per second; 60 if not given.", min=0.1)
    ] = None,
    direct: Annotated[
        bool, typer.Option("--direct", help="Without sockets, on a clock that stands still while we compute.")
    ] = False,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bookings, weather and loads.")] = 1,
    start: Annotated[
        str | None, typer.Option(help="First day, YYYY-MM-DD, or an instant of local time.")
    ] = None,
    prices: Annotated[Path | None, typer.Option(help="Day-ahead prices (CSV).")] = None,
    weather: Annotated[Path | None, typer.Option(help="Weather (CSV, may be gzipped).")] = None,
    quarters: Annotated[int | None, typer.Option(help="End after so many quarter-hours.", min=1)] = None,
    summary: Annotated[Path | None, typer.Option(help="Write the summary (JSON) here at the end.")] = None,
    port: Annotated[int, typer.Option(help="Port of the console and the API.")] = 8080,
    data: Annotated[Path | None, typer.Option(help="Folder for the database and the site file.")] = None,
    ready: Annotated[
        Path | None, typer.Option(help="Write addresses, pids and tokens here when all is up.")
    ] = None,
) -> None:
    """Runs a simulated neighbourhood and its controller."""
    from controller.demo.options import DemoOptions
    from controller.demo.start import run_demo

    if direct and speed is not None:
        _fail(EXIT_INPUT, "--speed and --direct exclude each other: a direct run goes as fast as it computes")
    if direct and quarters is None:
        _fail(EXIT_INPUT, "--direct needs --quarters: it would never end")
    options = DemoOptions(
        scenario=scenario,
        speed=60.0 if speed is None else speed,
        direct=direct,
        seed=seed,
        start=start,
        prices=prices,
        weather=weather,
        quarters=quarters,
        summary=summary,
        port=port,
        data=data,
        ready=ready,
    )
    _guarded(lambda: run_demo(options))


@app.command()
def run(
    site: Annotated[Path, typer.Argument(help="The site file (TOML).")],
    report: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Runs the controller of a site until it is stopped."""
    from controller.bootstrap import run_site

    _guarded(lambda: asyncio.run(run_site(site, report=report)))


@app.command()
def check(site: Annotated[Path, typer.Argument(help="The site file (TOML).")]) -> None:
    """Checks a site file and the charger templates beside it, and says what is in it."""
    from controller.config import read_site_file
    from controller.template_file import templates_of

    def work() -> None:
        found, settings = read_site_file(site)
        templates_of(found.charge_points, settings.ocpp.templates_file, site.parent)
        roots = [node.id for node in found.network.nodes if node.parent is None]
        typer.echo(
            f"{site}: {found.name}: {len(found.network.nodes)} nodes under {', '.join(roots)}, "
            f"{len(found.charge_points)} charge points, {len(found.vehicles)} vehicles, "
            f"{len(found.pv)} PV roofs, {len(found.batteries)} batteries, {len(found.loads)} loads, "
            f"{len(found.members)} members; database {settings.database}; no problems"
        )

    _guarded(work)


@app.command()
def plan(
    problem: Annotated[Path, typer.Argument(help="The dispatch problem (JSON).")],
    out: Annotated[Path, typer.Option(help="Where the plan goes (JSON).")],
) -> None:
    """Plans a problem from a file."""
    from controller.dispatch.plan_file import run_plan

    _guarded(lambda: run_plan(problem, out))


@app.command()
def clear(
    orders: Annotated[Path, typer.Argument(help="The orders (CSV).")],
    out: Annotated[Path, typer.Option(help="Where the result goes (JSON).")],
    network: Annotated[Path | None, typer.Option(help="The network's limits (JSON).")] = None,
) -> None:
    """Clears orders from a file."""
    from market.clear_file import run_clear

    _guarded(lambda: run_clear(orders, network, out))


@app.command()
def settle(
    rules: Annotated[Path, typer.Argument(help="Who shares, by which key, prices and rates (JSON).")],
    meters: Annotated[Path, typer.Argument(help="The meters' registers (CSV).")],
    out: Annotated[Path, typer.Option(help="Where the result goes (JSON).")],
    previous: Annotated[
        list[Path] | None,
        typer.Option(help="An earlier result of the same time: only the difference is booked; repeatable."),
    ] = None,
    quarters: Annotated[
        Path | None, typer.Option(help="Where every quarter-hour of every point goes (CSV).")
    ] = None,
) -> None:
    """Settles sharing after the fact from files."""
    from market.settle_file import run_settle

    _guarded(
        lambda: run_settle(rules, meters, out, previous=previous or (), quarters=quarters, tell=_errors.print)
    )


@app.command()
def verify(
    files: Annotated[
        list[Path], typer.Argument(help="Proofs and ledger files; ledger files in their order.")
    ],
    key: Annotated[
        list[str] | None, typer.Option(help="A public key that you trust (hexadecimal); may be repeated.")
    ] = None,
) -> None:
    """Checks that postings are in the signed ledger and that nothing was changed; needs only the files."""
    from market.verify_file import run_verify

    _guarded(lambda: typer.echo("\n".join(run_verify(files, key or ()))))


@token_app.command("create")
def token_create(
    site: Annotated[Path, typer.Argument(help="The site file (TOML).")],
    role: Annotated[str, typer.Option(help="operator, grid, resident, fleet or supplier.")],
    member: Annotated[
        str | None, typer.Option(help="Whose data a resident's token opens; which fleet's; which supplier's.")
    ] = None,
    label: Annotated[
        str, typer.Option(help="What the token is for, for the log.")
    ] = "made on the command line",
) -> None:
    """Makes an access token; it is shown once, only its hash is kept."""
    from controller.bootstrap import create_token
    from controller.runtime.ports import Role

    if role not in {known.value for known in Role}:
        _fail(EXIT_INPUT, f"--role must be one of {', '.join(Role)}, not {role!r}")
    who = f"command line:{_user()}"
    _guarded(
        lambda: typer.echo(
            asyncio.run(create_token(site, role=Role(role), member=member, label=label, who=who))
        )
    )


@token_app.command("list")
def token_list(site: Annotated[Path, typer.Argument(help="The site file (TOML).")]) -> None:
    """Lists the tokens that open something, by the start of their hash: they themselves are kept nowhere."""
    from controller.bootstrap import list_tokens
    from controller.runtime.tokens import token_table

    _guarded(lambda: typer.echo(token_table(asyncio.run(list_tokens(site)))))


@token_app.command("revoke")
def token_revoke(
    site: Annotated[Path, typer.Argument(help="The site file (TOML).")],
    token: Annotated[str, typer.Argument(help="The start of its hash, as `token list` shows it.")],
) -> None:
    """Takes a token back; a running controller honours it within seconds and closes what it had opened."""
    from controller.bootstrap import revoke_token
    from controller.runtime.tokens import token_words

    def work() -> None:
        who = f"command line:{_user()}"
        taken, operators_left = asyncio.run(revoke_token(site, start=token, who=who))
        typer.echo(f"taken back: {token_words(taken)}")
        if not operators_left:
            typer.echo(
                "no operator's token is left: `wijkstroom token create --role operator` makes one", err=True
            )

    _guarded(work)


def _user() -> str:
    """Who runs the program; in a container a user may have a number alone."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _guarded(work: Callable[[], object]) -> None:
    """Runs a command; expected failures become lines and an exit status."""
    try:
        work()
    except InputProblemsError as error:
        _errors.print(str(error), markup=False)
        raise typer.Exit(EXIT_INPUT) from error
    except (StartUpError, WijkstroomError) as error:
        _fail(EXIT_START, str(error))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _fail(status: int, line: str) -> None:
    _errors.print(line, markup=False)
    raise typer.Exit(status)


def main() -> None:
    """The entry point."""
    # Read when numpy is loaded, which each command does by itself: the solvers' matrices are small, and a
    # second BLAS thread would only spin beside the first.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    app()


if __name__ == "__main__":
    main()
