"""Data sets as memory-mapped arrays, and their partitions over clients."""
