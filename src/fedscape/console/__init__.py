"""What a terminal shows while Snakemake works: one line of progress, or the plan of a dry run."""
