"""Networks, how they are built, and what wraps them."""
