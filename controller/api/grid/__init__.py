"""The door of the grid operator: congestion nodes, flexibility, limits and the discharge lock-out."""
