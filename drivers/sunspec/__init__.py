"""Room: drivers/sunspec."""
