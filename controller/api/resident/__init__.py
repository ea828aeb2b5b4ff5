"""The door of a resident: what is theirs and nothing else."""
