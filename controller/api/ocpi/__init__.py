"""The door of e-mobility providers: OCPI 2.2.1, the operator of charge points as sender, read only."""
