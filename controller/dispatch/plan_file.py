"""`wijkstroom plan`: reads a problem file, writes a plan file, both by formats.md.

The reader walks the whole file and lists every problem with its path (`vehicles[3].stays[0].to_step`)
before it gives up. First the form (fields, types, lengths), then the ranges and the calendar, which
`inputs` knows; the tree and the ids last. Nothing is guessed: an unknown field is refused by name.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.plan_fields import Reader
from controller.dispatch.result import DispatchResult
from controller.dispatch.solve import solve
from controller.domain.errors import InputProblemsError, Problem
from controller.domain.units import FloatArray


def read_problem(path: Path) -> DispatchInputs:
    """Reads a problem file.

    Raises:
        InputProblemsError: With every problem of the file.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputProblemsError(
            str(path), [Problem(place="file", rule=f"cannot be read: {error.strerror}")]
        ) from error
    except UnicodeDecodeError as error:
        raise InputProblemsError(str(path), [Problem(place="file", rule=f"is not UTF-8: {error}")]) from error
    doubles: list[Problem] = []
    try:
        content = json.loads(text, object_pairs_hook=lambda pairs: _without_doubles(pairs, doubles))
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputProblemsError(str(path), [Problem(place="file", rule=f"is not JSON: {error}")]) from error
    reader = Reader()
    inputs = reader.problem(content)
    found = doubles + reader.problems
    if inputs is None or found:
        raise InputProblemsError(str(path), found)
    return inputs


def _without_doubles(pairs: list[tuple[str, Any]], found: list[Problem]) -> dict[str, Any]:
    """A JSON object; a key given twice is a problem, for one of the two would be lost silently."""
    names = [name for name, _ in pairs]
    found.extend(
        Problem(place=name, rule="is given more than once in one object")
        for name in sorted({n for n in names if names.count(n) > 1})
    )
    return dict(pairs)


def plan_content(inputs: DispatchInputs, result: DispatchResult) -> dict[str, Any]:
    """A plan as formats.md writes it."""
    totals = result.totals_kwh
    return {
        "status": result.status,
        "cost_eur": result.cost_eur,
        "lower_bound_eur": result.lower_bound_eur,
        "build_s": result.build_s,
        "solve_s": result.solve_s,
        "power_kw": {asset: _numbers(power) for asset, power in result.power_kw.items()},
        "energy_kwh": {store.id: _numbers(result.energy_kwh[store.id]) for store in inputs.stores},
        "node_power_kw": {node.id: _numbers(result.node_power_kw[node.id]) for node in inputs.nodes},
        "node_price_eur_per_kwh": {
            node.id: _numbers(result.node_price_eur_per_kwh[node.id]) for node in inputs.nodes
        },
        "totals_kwh": {
            "excess": totals.excess,
            "departure": totals.departure,
            "final": totals.final,
            "minimum": totals.minimum,
        },
        "shortfalls": [
            {
                "asset": shortfall.asset,
                "kind": shortfall.kind,
                "step": shortfall.step,
                "missing_kwh": shortfall.missing_kwh,
                "because": shortfall.because,
            }
            for shortfall in result.shortfalls
        ],
        "violations": [
            {
                "node": violation.node,
                "step": violation.step,
                "side": violation.side,
                "excess_kw": violation.excess_kw,
                "because": violation.because,
            }
            for violation in result.violations
        ],
    }


def _numbers(series: FloatArray) -> list[float]:
    # Adding 0.0 turns -0.0 into 0.0, which reads better.
    return [float(value) for value in np.asarray(series) + 0.0]


def write_plan(path: Path, inputs: DispatchInputs, result: DispatchResult) -> None:
    """Writes a plan file, whole or not at all: into a temporary file beside it that then takes its name.

    What is no file (`/dev/stdout`, a named pipe) is written to; it must not be replaced by one.

    Raises:
        OSError: If the folder cannot be written.
    """
    text = json.dumps(plan_content(inputs, result), allow_nan=False)
    if path.exists() and not path.is_file():
        path.write_text(text + "\n", encoding="utf-8")
        return
    path = path.resolve()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes the file for its owner only; a plan is as readable as any file of this user.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def run_plan(problem: Path, out: Path) -> DispatchResult:
    """Reads a problem, solves it without a deadline and writes the plan.

    Raises:
        InputProblemsError: If the problem file is wrong or the plan cannot be written; then nothing is.
    """
    inputs = read_problem(problem)
    result = solve(inputs)
    try:
        write_plan(out, inputs, result)
    except OSError as error:
        rule = f"cannot be written: {error.strerror}"
        raise InputProblemsError(str(out), [Problem(place="file", rule=rule)]) from error
    return result
