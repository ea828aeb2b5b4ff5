"""A simulated payment provider: an HTTP service of its own, which can be made to fail."""
