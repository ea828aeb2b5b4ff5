"""The resident's page."""
