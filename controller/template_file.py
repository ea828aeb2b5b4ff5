"""The file of charger templates: a TOML table for each make, named by the charge points of the site file.

A make's name is the table's:

    [sturdy-22]
    unit = "A"
    min_a = 6
    zero_limit = 1        # this make refuses 0
    wake_up = ["inoperative", "operative"]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import TypeAdapter

from controller.domain.assets import ChargePoint
from controller.domain.chargers import ChargerTemplate, template_problems
from controller.domain.errors import InputProblemsError, Problem
from controller.domain.ids import AssetId
from controller.toml_file import parse, read_table, unknown_names

_ADAPTER: TypeAdapter[ChargerTemplate] = TypeAdapter(ChargerTemplate)


def read_template_file(path: Path) -> dict[str, ChargerTemplate]:
    """Reads a file of charger templates, by name.

    Raises:
        InputProblemsError: With every problem of every template.
    """
    templates: dict[str, ChargerTemplate] = {}
    problems: list[Problem] = []
    for name, table in read_table(path).items():
        if not isinstance(table, dict):
            problems.append(Problem(place=name, rule="must be a table: a template of its own"))
            continue
        problems += unknown_names(table, ChargerTemplate, f"{name}.")
        template = parse(_ADAPTER, table)
        if isinstance(template, list):
            problems += [
                Problem(place=f"{name}.{each.place}", rule=each.rule, way_out=each.way_out)
                for each in template
            ]
        else:
            problems += template_problems(name, template)
            templates[name] = template
    if problems:
        raise InputProblemsError(str(path), problems)
    return templates


def templates_of(
    charge_points: Iterable[ChargePoint], templates_file: str, folder: Path
) -> Mapping[AssetId, ChargerTemplate]:
    """The template of each charge point that names one.

    Args:
        charge_points: Of the site.
        templates_file: The file's name in the site file; empty: there is none.
        folder: The site file's.

    Raises:
        InputProblemsError: With every problem of the file, or every name that it does not have.
    """
    templates = read_template_file(folder / templates_file) if templates_file else {}
    named = [(point.id, point.template) for point in charge_points if point.template is not None]
    missing = [
        Problem(
            place=f"charge point {charge_point}",
            rule=f"there is no template {name!r}",
            way_out="settings.ocpp.templates_file names the file that has it",
        )
        for charge_point, name in named
        if name not in templates
    ]
    if missing:
        raise InputProblemsError(templates_file or "site file", missing)
    return {charge_point: templates[name] for charge_point, name in named}
