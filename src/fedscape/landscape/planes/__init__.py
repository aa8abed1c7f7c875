"""Kinds of planes, one file each."""
