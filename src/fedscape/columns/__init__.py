"""The columns of every CSV: name, type, unit, role and meaning, and how a CSV is written and read."""
