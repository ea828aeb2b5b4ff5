"""Room: market."""
