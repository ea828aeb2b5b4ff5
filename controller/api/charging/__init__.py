"""Charging tokens: members' own, and the operator's view of all."""
