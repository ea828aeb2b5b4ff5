"""Room: forecast."""
