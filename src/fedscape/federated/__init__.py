"""The engine: lanes train clients, rounds average them, a store keeps what the analyses look at."""
