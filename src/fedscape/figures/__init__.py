"""Figures, drawn from CSVs and nothing else."""
