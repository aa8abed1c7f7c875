"""The one error a user is meant to read."""

LONGEST, END = 1_200, 300  # characters of a message, and of its end if it is longer


class FedscapeError(Exception):
    """Bad input, in one line: what is wrong, where (file, key, value), and what is allowed.

    Names and values in a message may come from files of strangers: what does not print is spelled out, so
    that no line break makes two lines of it and no escape sequence reaches a terminal. A message that is too
    long for one line (it may quote a cell of a megabyte) loses its middle.
    """

    def __init__(self, message: str):
        message = printable(message)
        if len(message) > LONGEST:
            message = f"{message[: LONGEST - END]} ... {message[-END:]}"
        super().__init__(message)


def printable(text: str) -> str:
    """The text in one line: letters that do not print are spelled out as escapes."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def reason(error: BaseException) -> str:
    """The first line of another library's error; its type where it says nothing.

    NumPy's advice on how to load a file of pickled objects anyway is left out.
    """
    line = str(error).partition("\n")[0].partition("If you trust the file")[0]
    return line.strip() or type(error).__name__
