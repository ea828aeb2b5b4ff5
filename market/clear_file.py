"""`wijkstroom clear`: orders and a network from files, the cleared quarter-hours into a file.

The same clearing that the running controller uses. The files are read whole and every problem in them is
told at once, each with its place and the rule; then nothing is written. The result appears under its name
only when it is complete. The fields are those of the project's `formats.md`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from controller.domain.errors import InputProblemsError, Problem
from controller.domain.ids import MemberId, NodeId
from controller.domain.time import parse_utc, utc_text
from market.clearing import Envelope, EnvelopeNode, IntervalResult, clear, envelope_problems
from market.files import INTEGER, collecting, parse_csv, parse_json, read_text, write_text
from market.orders import Order, Side, validate
from market.prices import INTERVAL_QUANTITY_WH_MAX, quarter_capacity_wh

_COLUMNS = (
    "order_id",
    "member",
    "node",
    "side",
    "quantity_wh",
    "limit_price_microeur_per_kwh",
    "interval_start_utc",
)
_OPTIONAL = ("min_fill_wh",)
_NODE_FIELDS = ("id", "parent", "import_limit_kw", "export_limit_kw")
_LIMIT_KW_MAX = 10**12
"""More than the world's power; also keeps a number like 1e999999 from being worked out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrdersFile:
    """The orders of a file."""

    orders: tuple[Order, ...]
    spelling: Mapping[datetime, str] = field(default_factory=dict)
    """How the file itself writes each quarter-hour, where it always writes it alike."""


def run_clear(orders: Path, network: Path | None, out: Path) -> list[IntervalResult]:
    """Reads the files, clears every quarter-hour and writes the result.

    Args:
        orders: The CSV file of orders.
        network: The JSON file of the network; None puts every order at one place.
        out: Where the result goes; an older one is replaced.

    Returns:
        The cleared quarter-hours, ascending, as they were written.

    Raises:
        InputProblemsError: If anything in the files is wrong; all of it is listed and nothing is written.
        StartUpError: If the result cannot be written.
    """
    problems: list[Problem] = []
    envelope: Envelope | None = None
    with collecting(problems):
        envelope = None if network is None else read_network(network)
    book = OrdersFile(orders=())
    with collecting(problems):
        book = read_orders(orders, None if envelope is None else envelope.position)
    if problems:
        raise InputProblemsError(" and ".join(map(str, filter(None, (orders, network)))), problems)
    by_interval: defaultdict[datetime, list[Order]] = defaultdict(list)
    for order in book.orders:
        by_interval[order.interval_start].append(order)
    results = [clear(by_interval[start], envelope) for start in sorted(by_interval)]
    write_result(out, results, book.spelling)
    return results


def read_orders(path: Path, nodes: Container[str] | None = None) -> OrdersFile:
    """Reads a CSV file of orders.

    Args:
        path: The file.
        nodes: The places there are; None where any will do.

    Raises:
        InputProblemsError: With every problem: unreadable file, wrong columns, wrong values, ids that
            come twice, quantities that together are beyond counting.
    """
    return parse_orders(read_text(path), str(path), nodes)


def parse_orders(text: str, source: str, nodes: Container[str] | None = None) -> OrdersFile:
    """The same from a text; `source` names it in the problems."""
    names, rows = parse_csv(text, source, _COLUMNS, _OPTIONAL)
    reader = _OrderReader(nodes)
    for number, cells in enumerate(rows):
        if not cells:
            continue  # a blank line, such as a last one
        place = f"orders[{number}]"
        if len(cells) != len(names):
            reader.problem(place, f"has {len(cells)} values for {len(names)} columns")
            continue
        reader.read(place, {name: cell.strip() for name, cell in zip(names, cells, strict=True)})
    reader.check_whole()
    if reader.problems:
        raise InputProblemsError(source, reader.problems)
    spelling = {
        start: next(iter(texts))
        for start, texts in reader.spellings.items()
        if len(texts) == 1 and next(iter(texts)).endswith("Z")
    }
    return OrdersFile(orders=tuple(reader.orders), spelling=spelling)


class _OrderReader:
    """Turns rows into orders and keeps every problem on the way."""

    def __init__(self, nodes: Container[str] | None) -> None:
        self._nodes = nodes
        self.orders: list[Order] = []
        self.problems: list[Problem] = []
        self.spellings: defaultdict[datetime, set[str]] = defaultdict(set)
        self._places: dict[str, str] = {}

    def problem(self, place: str, rule: str) -> None:
        """Keeps a problem."""
        self.problems.append(Problem(place=place, rule=rule))

    def read(self, place: str, cells: Mapping[str, str]) -> None:
        """Reads one row."""
        order_id = cells["order_id"]
        if order_id in self._places:
            self.problem(f"{place}.order_id", f"{order_id!r} is also the id of {self._places[order_id]}")
        self._places.setdefault(order_id, place)
        if self._nodes is not None and cells["node"] not in self._nodes:
            self.problem(f"{place}.node", f"{cells['node']!r} is not in the network file")
        side = self._value(place, cells, "side", Side, "must be 'buy' or 'sell'")
        quantity = self._integer(place, cells, "quantity_wh")
        price = self._integer(place, cells, "limit_price_microeur_per_kwh")
        least = self._integer(place, cells, "min_fill_wh") if cells.get("min_fill_wh") else 0
        start = self._value(
            place, cells, "interval_start_utc", parse_utc, "must be an instant like 2024-06-03T22:00Z"
        )
        if side is None or quantity is None or price is None or least is None or start is None:
            return
        order = Order(
            order_id=order_id,
            member=MemberId(cells["member"]),
            node=NodeId(cells["node"]),
            side=side,
            quantity_wh=quantity,
            limit_price_microeur_per_kwh=price,
            interval_start=start,
            min_fill_wh=least,
        )
        for found in validate(order):
            name = "interval_start_utc" if found.place == "interval_start" else found.place
            self.problems.append(Problem(place=f"{place}.{name}", rule=found.rule, way_out=found.way_out))
        self.spellings[start].add(cells["interval_start_utc"])
        self.orders.append(order)

    def check_whole(self) -> None:
        """Looks at what only all orders together can break."""
        totals: defaultdict[datetime, int] = defaultdict(int)
        for order in self.orders:
            totals[order.interval_start] += max(0, order.quantity_wh)
        for start, total in sorted(totals.items()):
            if total > INTERVAL_QUANTITY_WH_MAX:
                self.problem(
                    f"interval {utc_text(start)}",
                    f"the quantities add up to {total} Wh, at most {INTERVAL_QUANTITY_WH_MAX} can be cleared",
                )

    def _integer(self, place: str, cells: Mapping[str, str], name: str) -> int | None:
        if INTEGER.fullmatch(cells[name]):
            return int(cells[name])
        self.problem(f"{place}.{name}", f"must be a whole number of at most 19 digits, not {cells[name]!r}")
        return None

    def _value[T](
        self, place: str, cells: Mapping[str, str], name: str, read: Callable[[str], T], rule: str
    ) -> T | None:
        try:
            return read(cells[name])
        except ValueError:
            self.problem(f"{place}.{name}", f"{rule}, not {cells[name]!r}")
            return None


def read_network(path: Path) -> Envelope:
    """Reads a JSON file of the network.

    Raises:
        InputProblemsError: With every problem: unreadable file, no JSON, unknown or missing fields,
            limits that are no limits, nodes that are no forest.
    """
    return parse_network(read_text(path), str(path))


def parse_network(text: str, source: str) -> Envelope:
    """The same from a text; `source` names it in the problems."""
    problems: list[Problem] = []
    content = parse_json(text, source, problems)
    if not isinstance(content, dict) or not isinstance(content.get("nodes"), list):
        problems.append(Problem(place="nodes", rule="must be a list of nodes"))
        raise InputProblemsError(source, problems)
    problems += [Problem(place=name, rule="unknown field") for name in content if name != "nodes"]
    nodes = [_read_node(f"nodes[{i}]", node, problems) for i, node in enumerate(content["nodes"])]
    found = [node for node in nodes if node is not None]
    if len(found) == len(nodes):
        problems += envelope_problems(found)
    if problems:
        raise InputProblemsError(source, problems)
    return Envelope(tuple(found))


def _read_node(place: str, node: object, problems: list[Problem]) -> EnvelopeNode | None:
    """One node; None where it has problems, which are kept."""
    if not isinstance(node, dict):
        problems.append(Problem(place=place, rule="must be an object"))
        return None
    before = len(problems)
    problems += [
        Problem(place=f"{place}.{name}", rule="unknown field") for name in node if name not in _NODE_FIELDS
    ]
    problems += [
        Problem(place=f"{place}.{name}", rule="is missing") for name in _NODE_FIELDS if name not in node
    ]
    if "id" in node and not isinstance(node["id"], str):
        problems.append(Problem(place=f"{place}.id", rule="must be a text"))
    if not isinstance(node.get("parent"), str | None):
        problems.append(Problem(place=f"{place}.parent", rule="must be a node's id, or null for a root"))
    limits = {
        name: _read_limit(f"{place}.{name}", node[name], problems)
        for name in ("import_limit_kw", "export_limit_kw")
        if name in node
    }
    if len(problems) > before:
        return None
    return EnvelopeNode(
        id=NodeId(node["id"]),
        parent=None if node["parent"] is None else NodeId(node["parent"]),
        import_wh=limits["import_limit_kw"],
        export_wh=limits["export_limit_kw"],
    )


def _read_limit(place: str, value: object, problems: list[Problem]) -> int | None:
    """A limit [kW] as the whole watt-hours of a quarter-hour."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        exact = Decimal(value)
        if exact.is_finite() and 0 <= exact <= _LIMIT_KW_MAX:
            return quarter_capacity_wh(exact)
    problems.append(
        Problem(place=place, rule=f"must be one number of kW from 0 to {_LIMIT_KW_MAX}, not {value!s:.40}")
    )
    return None


def result_document(
    results: Sequence[IntervalResult], spelling: Mapping[datetime, str] | None = None
) -> dict[str, Any]:
    """The result as the file holds it."""
    texts = spelling or {}
    return {
        "intervals": [
            {
                "interval_start_utc": texts.get(result.interval_start, utc_text(result.interval_start)),
                "price_microeur_per_kwh": dict(result.price_microeur_per_kwh),
                "fills": [
                    {
                        "order_id": fill.order_id,
                        "filled_wh": fill.filled_wh,
                        "price_microeur_per_kwh": fill.price_microeur_per_kwh,
                        "amount_nanoeur": fill.amount_nanoeur,
                    }
                    for fill in result.fills
                ],
                "congestion_rent_nanoeur": result.congestion_rent_nanoeur,
                "welfare_nanoeur": result.welfare_nanoeur,
            }
            for result in results
        ]
    }


def write_result(
    path: Path, results: Sequence[IntervalResult], spelling: Mapping[datetime, str] | None = None
) -> None:
    """Writes the result in one piece: whoever reads it sees the old file or the whole new one.

    Raises:
        StartUpError: If it cannot be written.
    """
    write_text(path, json.dumps(result_document(results, spelling), indent=1) + "\n")
