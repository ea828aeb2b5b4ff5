"""Room: drivers/mqtt."""
