"""Planes through parameter space and the loss surfaces over them."""
