# What Snakemake puts into a script that it runs, for the type checker. Names of files stand in the rule.
from typing import Any

class _Files(list[str]):
    def __getattr__(self, name: str) -> Any: ...  # a path, or a list of paths

class _Wildcards(list[str]):
    def __getattr__(self, name: str) -> str: ...

class _Snakemake:
    rule: str
    input: _Files
    output: _Files
    log: _Files
    wildcards: _Wildcards
    params: Any
    threads: int
    scriptdir: str  # where the script lies

snakemake: _Snakemake
