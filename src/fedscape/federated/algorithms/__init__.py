"""Client rules and aggregation, one file each."""
