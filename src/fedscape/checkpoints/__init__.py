"""A run's kept models: the layout of tensors in flat vectors, and the files that hold them."""
