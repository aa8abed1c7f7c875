"""Tidy tables of a whole study, put together from its runs' CSVs."""
