"""Study files: from YAML to typed settings, runs, and what each job depends on. Never imports torch."""
