"""The envelope: from limits in kW to whole watt-hours per quarter-hour."""

from __future__ import annotations

import pytest

from controller.domain.ids import NodeId
from controller.domain.network import Limit, LimitKind, Network, Node, NodeKind
from market.clearing import Envelope, EnvelopeNode, envelope_of
from tests.support.market import an_envelope

NETWORK = Network(
    (
        Node(
            id=NodeId("t"),
            parent=None,
            kind=NodeKind.TRANSFORMER,
            limits=(Limit(kind=LimitKind.CONTRACT, value=40.0, export_value=20.0),),
        ),
        Node(id=NodeId("f"), parent=NodeId("t"), kind=NodeKind.FEEDER),
    )
)


def test_limits_become_watt_hours_of_a_quarter_hour() -> None:
    """40 kW x 250 = 10,000 Wh in, 20 kW x 250 = 5,000 Wh out; a node without a limit has none."""
    envelope = envelope_of(NETWORK)
    assert envelope.nodes[0] == EnvelopeNode(id=NodeId("t"), parent=None, import_wh=10_000, export_wh=5_000)
    assert envelope.nodes[1].import_wh is None


def test_tighter_limits_and_the_use_of_others_are_taken_off() -> None:
    """The operator allows 30 kW = 7,500 Wh; others use 8,000: nothing is left in, 5,000 + 8,000 out."""
    envelope = envelope_of(
        NETWORK, limits_kw={NodeId("t"): (30.0, 99.0)}, others_wh={NodeId("t"): 8_000, NodeId("f"): 1}
    )
    assert envelope.nodes[0].import_wh == 0
    assert envelope.nodes[0].export_wh == 13_000
    assert envelope.nodes[1].import_wh is None


def test_parents_come_before_children_whatever_the_order_given() -> None:
    """The arrays put the grid outside first and every parent before its children."""
    envelope = an_envelope(leaf=("mid", 1, 1), mid=("root", 1, 1), root=(None, 1, 1), other=(None, 1, 1))
    assert envelope.order == ("", "root", "other", "mid", "leaf")
    assert envelope.arrays.parent.tolist() == [-1, 0, 0, 1, 3]


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ({"a": ("b", 1, 1), "b": ("a", 1, 1)}, "cycle"),
        ({"a": ("b", 1, 1)}, "unknown parent"),
        ({"a": (None, -1, 1)}, "negative"),
        ({"": (None, 1, 1)}, "grid outside"),
    ],
)
def test_nodes_that_are_no_envelope_are_refused(
    nodes: dict[str, tuple[str | None, int | None, int | None]], words: str
) -> None:
    """Cycles, unknown parents, negative limits and the name of the grid outside."""
    with pytest.raises(ValueError, match=words):
        an_envelope(**nodes)
    assert Envelope(()).order == ("",)
