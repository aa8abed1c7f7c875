"""The studies of docs/examples: their CSVs kept, and drawn again."""
