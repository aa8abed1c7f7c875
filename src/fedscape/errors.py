"""The one error a user is meant to read."""

LONGEST, END = 1_200, 300  # characters of a message, and of its end if it is longer


class FedscapeError(Exception):
    """Bad input, in one line: what is wrong, where (file, key, value), and what is allowed.

    Names and values in a message may come from files of strangers: what does not print is spelled out, so
    that no line break makes two lines of it and no escape sequence reaches a terminal. Of a message that is
    too long for one line (it quotes a cell of a megabyte) the middle is left out.
    """

    def __init__(self, message: str):
        message = printable(message)
        if len(message) > LONGEST:
            message = f"{message[: LONGEST - END]} ... {message[-END:]}"
        super().__init__(message)


def printable(text: str) -> str:
    """Text of one line; what does not print in it is spelled out."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def reason(error: BaseException) -> str:
    """What an error of another library says, in one line; its type where it says nothing.

    But for NumPy's advice on how to load a file of pickled objects anyway.
    """
    first = next(iter(str(error).split("\n")), "").partition("If you trust the file")[0]
    return first.strip() or type(error).__name__
