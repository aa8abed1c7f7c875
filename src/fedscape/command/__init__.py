"""What `fedscape status`, `why` and `cost` do. They read files, and start neither Snakemake nor torch."""
