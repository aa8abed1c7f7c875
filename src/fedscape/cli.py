"""The command `fedscape`: a look at a campaign that `snakemake` runs, and the examples made from one."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from fedscape.errors import FedscapeError
from fedscape.study.problems import told


class _Parser(argparse.ArgumentParser):
    """argparse whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        raise FedscapeError(f"{message} (`{self.prog} --help` tells more)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; an error is one line on stderr and code 1."""
    try:
        options = _parser().parse_args(arguments)
        _use_library_of_this_clone()
        return options.run(options)
    except FedscapeError as error:
        print(told(error), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `fedscape status | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="fedscape", description=__doc__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    status = commands.add_parser("status", help="which results of a study exist, run, wait or have failed")
    why = commands.add_parser("why", help="what has changed since a file was made")
    cost = commands.add_parser("cost", help="jobs, hours and disk that a study takes, before it runs")
    new = commands.add_parser("new", help="write a study of your own to begin with")
    pack = commands.add_parser("pack", help="keep the CSVs of a study for docs/examples")
    figure = commands.add_parser("figure", help="draw one figure of results for print, or as it is")
    redraw = commands.add_parser("redraw", help="redraw examples from the CSVs that they keep")
    for command in (status, cost, pack):
        command.add_argument("study", nargs="?", help="its name; otherwise config/config.yaml's")
    why.add_argument("file", help="a result")
    figure.add_argument("file", help="results/<study>/<scale>/figures/<figure>.png")
    figure.add_argument("--style", choices=["screen", "print"], help="default: the study's")
    figure.add_argument("--width", metavar="85mm", help="in print: a column has about 85mm, two 170mm")
    figure.add_argument("--to", metavar="PATH", help="a .pdf, .svg or .png; default: <figure>.pdf here")
    new.add_argument("study", metavar="NAME", help="one word")
    for command in (status, why, cost, pack):
        command.add_argument("--config", nargs="+", default=[], metavar="KEY=VALUE", help="as for snakemake")
        command.add_argument("--configfile", nargs="+", default=[], metavar="FILE", help="as for snakemake")
    status.add_argument("--watch", action="store_true", help="look again every five seconds")
    status.add_argument("--all", action="store_true", help="name jobs that are done or wait, too")
    pack.add_argument("--to", metavar="FOLDER", help="in place of docs/examples of this clone")
    redraw.add_argument("folder", nargs="*", help="an example; otherwise all that keep CSVs")
    redraw.add_argument("--page", action="store_true", help="only index.html, from what is drawn already")
    redraw.add_argument("--cores", default="all", metavar="N", help="as for snakemake")
    pack.add_argument(
        "--missing", action="store_true", help="only name what is not kept yet, for snakemake to make"
    )
    status.set_defaults(run=_status)
    why.set_defaults(run=_why)
    cost.set_defaults(run=_cost)
    new.set_defaults(run=_new)
    pack.set_defaults(run=_pack)
    figure.set_defaults(run=_figure)
    redraw.set_defaults(run=_redraw)
    return parser


def _status(options: argparse.Namespace) -> int:
    from fedscape.command.status import status

    return status(options.study, options.config, options.configfile, options.watch, options.all)


def _why(options: argparse.Namespace) -> int:
    from fedscape.command.why import why

    return why(options.file, options.config, options.configfile)


def _cost(options: argparse.Namespace) -> int:
    from fedscape.command.cost import cost

    return cost(options.study, options.config, options.configfile)


def _new(options: argparse.Namespace) -> int:
    from fedscape.command.new import new

    return new(options.study)


def _pack(options: argparse.Namespace) -> int:
    from fedscape.examples.pack import pack

    return pack(options.study, options.config, options.configfile, options.to, options.missing)


def _figure(options: argparse.Namespace) -> int:
    from fedscape.command.figure import figure

    return figure(options.file, options.style, options.width, options.to)


def _redraw(options: argparse.Namespace) -> int:
    from fedscape.examples.redraw import redraw

    return redraw(options.folder, options.cores, options.page)


def _use_library_of_this_clone() -> None:
    """Restart with the library of the clone around the working folder, if another one is installed."""
    from fedscape.command.repository import SNAKEFILE, nearest

    inside = Path("src", "fedscape")
    folder = nearest(
        Path.cwd(), lambda folder: (folder / inside / "cli.py").is_file() and (folder / SNAKEFILE).is_file()
    )
    if folder is None:
        return
    library = folder / inside
    if library != Path(__file__).resolve().parent and "FEDSCAPE_CLONE" not in os.environ:
        path = os.pathsep.join(filter(None, [str(library.parent), os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "PYTHONPATH": path, "FEDSCAPE_CLONE": str(folder)}
        os.execve(sys.executable, [sys.executable, "-m", "fedscape.cli", *sys.argv[1:]], environment)


if __name__ == "__main__":
    sys.exit(main())
