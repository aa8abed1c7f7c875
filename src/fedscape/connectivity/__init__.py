"""Straight paths between models and the barriers on them."""
