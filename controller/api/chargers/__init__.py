"""The chargers themselves, for operators: requests by hand, the message log, health, admission."""
