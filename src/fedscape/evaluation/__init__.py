"""The loss of a model on data, and its derivatives: problems, batch-norm statistics, eigenvalues, updates."""
