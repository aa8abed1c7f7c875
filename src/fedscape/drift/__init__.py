"""How far global models move."""
