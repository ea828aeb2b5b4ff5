"""The door of the supplier and its balance responsible party: nominations, and what imbalance cost."""
