"""What claims are measured by: one number per case, from CSVs only."""
