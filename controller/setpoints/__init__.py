"""From plan and wishes to setpoints: each layer only narrows what the one above left open."""
