"""The one error a user is meant to read."""


class FedscapeError(Exception):
    """Bad input, in one line: what is wrong, where (file, key, value), and what is allowed."""
