"""What is known of the neighbourhood now: the newest reading of everything, and how fresh it is."""

from controller.state.model import NeighbourhoodState, apply_all

__all__ = ["NeighbourhoodState", "apply_all"]
