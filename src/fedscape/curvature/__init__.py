"""Second derivatives of the loss."""
