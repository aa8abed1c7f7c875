"""Types of cells. Names such as `0.1` or `1e3` stay text; a seed is `*` where a row stands for several.

Apart from `column.py`: every job that writes or reads a CSV depends on these, and on no column of a table.
"""

TEXT, NUMBER, FLAG, SEED = "text", "number", "true or false", "number or `*`"
WHOLE = "whole number"
INDEX = "whole number, never empty"
