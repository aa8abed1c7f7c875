"""Kinds of initial weights, one file each."""
