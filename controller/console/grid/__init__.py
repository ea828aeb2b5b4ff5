"""The grid operator's page."""
