"""Tables in Markdown."""


def markdown_table(header: list[str], lines: list[list[str]], texts: int) -> str:
    """A GitHub table that also reads as plain text; the columns after the first `texts` are numbers."""
    widths = [max(len(line[i]) for line in [header, *lines]) for i in range(len(header))]

    def row(cells: list[str]) -> str:
        padded = [
            cell.ljust(width) if i < texts else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "| " + " | ".join(padded) + " |"

    # Two hyphens at least and a colon on the right side are what GitHub's tables ask for.
    rule = ["-" * width if i < texts else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    return "\n".join([row(header), row(rule), *map(row, lines)])
