"""Where each SunSpec point lies in its model, read from pysunspec2's copies of the alliance's model files.

A SunSpec device is a chain of models in its holding registers. Each model starts with its number (ID)
and the count of registers that follow (L); after that its points lie at fixed offsets. The files that
`pysunspec2` carries are the SunSpec Alliance's own machine-readable models, so no offset is typed here.
"""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

HEADER_REGISTERS = 2
"""ID and L, which every model starts with."""


class PointKind(StrEnum):
    """How the registers of a point are read; the value is the name in the model files."""

    UINT16 = "uint16"
    INT16 = "int16"
    ENUM16 = "enum16"
    BITFIELD16 = "bitfield16"
    SCALE = "sunssf"
    UINT32 = "uint32"
    INT32 = "int32"
    BITFIELD32 = "bitfield32"
    ACC32 = "acc32"
    STRING = "string"
    PAD = "pad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point of a model."""

    name: str
    kind: PointKind
    offset: int
    """From the model's ID register."""
    size: int
    """In registers."""
    scale: str | None
    """The name of the point that holds the power of ten; None: no scaling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model of the alliance's information model."""

    number: int
    size: int
    """In registers, ID and L included."""
    points: Mapping[str, Point]


@cache
def model(number: int) -> Model:
    """The layout of a model.

    Raises:
        KeyError: If pysunspec2 carries no such model, or it has a point of a kind not read here.
    """
    file = importlib.resources.files("sunspec2") / "models" / "json" / f"model_{number}.json"
    if not file.is_file():
        raise KeyError(f"SunSpec has no model {number}")
    described: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["group"]["points"]
    points: dict[str, Point] = {}
    offset = 0
    for entry in described:
        try:
            kind = PointKind(entry["type"])
        except ValueError as error:
            raise KeyError(f"model {number} point {entry['name']}: kind {entry['type']!r}") from error
        points[entry["name"]] = Point(
            name=entry["name"], kind=kind, offset=offset, size=entry["size"], scale=entry.get("sf")
        )
        offset += entry["size"]
    return Model(number=number, size=offset, points=points)
