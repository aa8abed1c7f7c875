"""Typed settings of stages, which studies fill in and stages take: plain dataclasses, free of torch."""
