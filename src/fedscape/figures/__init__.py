"""Figures, drawn from CSVs and nothing else; each kind is a module of this package."""
