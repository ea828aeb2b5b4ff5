"""How many charging profiles a charger takes beside each other, and where ours lie on its stack.

A profile takes the place of another one of the same purpose and stack level (1.6, section 5.16.4), or is
refused beside it (2.x, K01.FR.06), so floor and setpoints never share a place. Purposes do not count for each
other: a `TxProfile` rules its transaction whatever lies among the defaults. So every charger can have its
hours for the time without us and, while a transaction runs, setpoints. What needs a second default is a
setpoint for a transaction that is yet to begin: a charger with room for one keeps its hours, and such a
setpoint is refused with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.domain.setpoints import Rejected, Setpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a charger told of its stack."""

    level_max: int
    """The highest stack level."""
    profiles: int
    """How many profiles of one purpose it keeps."""

    @property
    def is_scarce(self) -> bool:
        """Whether only one default fits: the hours for the time without us."""
        return self.profiles < _FLOOR_AND_SETPOINT

    @property
    def has_three(self) -> bool:
        """Whether the hours of the night may lie on a default of their own."""
        return self.profiles > _FLOOR_AND_SETPOINT

    def level(self, usual: int) -> int:
        """The stack level for a setpoint where `usual` is the one that we prefer."""
        return min(usual, self.level_max)


_FLOOR_AND_SETPOINT = 2
_HIGHEST = 1000
"""Larger figures say no more than this one."""
AMPLE = Room(level_max=_HIGHEST, profiles=_HIGHEST)
"""What is reckoned with until a charger has told."""
SCARCE_TEXT = (
    "it keeps one profile of each purpose: that is its hours for the time without us, "
    "and setpoints reach it only while a transaction runs"
)


def room_of(told: str | None, *, by_16: bool) -> Room | None:
    """The room behind a charger's highest stack level; None where it tells none.

    Args:
        told: `ChargeProfileMaxStackLevel` (1.6) or `SmartChargingCtrlr.ProfileStackLevel` (2.x).
        by_16: In 1.6 the figure "also indicates the max allowed number" of profiles of a purpose (section
            9.4.1); in 2.x the levels are counted from 0, which makes one more.
    """
    if told is None or not (told.isascii() and told.isdigit()):
        return None
    # Nobody needs digits without end.
    highest = min(int(told[:9]), _HIGHEST)
    return Room(level_max=highest, profiles=max(highest, 1) if by_16 else highest + 1)


def no_room(setpoint: Setpoint, transaction: str | None, room: Room) -> Rejected | None:
    """The refusal of a setpoint that would push the hours for the time without us out of their place."""
    if transaction is not None or not room.is_scarce:
        return None
    why = f"no transaction runs at {setpoint.asset}, and {SCARCE_TEXT}"
    return Rejected(setpoint=setpoint, code="OneProfile", why=why)
