"""The studies of docs/examples: CSVs that are kept, and what is redrawn from them."""
