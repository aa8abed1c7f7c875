"""How far clients and rounds move."""
