"""Results in the formats of other programs; from CSVs only."""
