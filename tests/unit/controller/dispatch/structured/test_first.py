"""The compiled loops are ready before the first plan."""

from __future__ import annotations

import json
import subprocess
import sys

LOOK = """
import importlib, json, pkgutil
import numba.core.dispatcher
import controller.dispatch.structured as room
from controller.dispatch.solve import load, solve, solve_quick
from tests.support.dispatch import load as home
from tests.support.dispatch import node, problem, store

def ready():
    names = [f"{room.__name__}.{module.name}" for module in pkgutil.iter_modules(room.__path__)]
    modules = [importlib.import_module(name) for name in names]
    loops = {f"{m.__name__}.{name}": loop for m in modules for name, loop in vars(m).items()
             if isinstance(loop, numba.core.dispatcher.Dispatcher)}
    return {name: len(loop.signatures) for name, loop in loops.items()}

load()
before = ready()
buy, nodes = [0.2 + 0.1 * (t % 5) for t in range(30)], [node("f", None, 40.0, 30)]
for least_kw, wanted_kwh in ((0.0, 20.0), (0.0, 60.0), (4.14, 40.0)):
    cars = [store(f"c{i}", "f", 30, initial_kwh=10.0 + i, final_min_kwh=wanted_kwh, charge_kw_min=least_kw)
            for i in range(40)]
    inputs = problem(30, nodes, stores=cars, fixed=[home("h", "f", 5.0, 30)], buy=buy, sell=0.05)
    for way in (solve, solve_quick):
        way(inputs)
print(json.dumps([before, ready()]))
"""


def test_no_plan_after_the_first_look_compiles_a_loop() -> None:
    """In a program of its own: loading covers what plans of every kind then call."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK], check=True, capture_output=True, text=True
    )  # our own text
    before, after = json.loads(done.stdout)
    assert sum(before.values()) > 10
    assert before == after
