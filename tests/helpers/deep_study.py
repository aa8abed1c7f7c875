"""The study `deep` (tests/workflow/edited), written down a second time by hand: its runs, and what is made of which."""

ALPHAS = ("iid", "dir1.0", "dir0.5", "dir0.3", "dir0.1")
FINALS = ("iid", "dir1.0", "dir0.5", "dir0.1")
STARTS = ("random", "pretrained")
Run = tuple[str, str, str, str]  # model, partition, init, method

RUNS: set[Run] = {
    *(("convnet", p, init, "fedavg") for p in (*FINALS, "iid-b") for init in STARTS),
    *(("resnet20", p, init, "fedavg-short") for p in FINALS for init in STARTS),
    *(("convnet", p, "iid-round", "fedavg") for p in ALPHAS),
    ("convnet", "dir0.3", "random", "fedavg"),
    *(("convnet", "dir1.0", f"{init}-end", "fedavg-more") for init in ("pretrained", "iid-round")),
    *(("convnet", p, "random", f"fedavg-p{s}") for p in ("iid-50", "dir0.5-50") for s in (0.2, 0.5, 0.8)),
}
SPLITS = {partition for _, partition, _, _ in RUNS}
CONTINUED = {  # start -> the run that it continues
    "iid-round": ("convnet", "iid", "random", "fedavg"),
    "pretrained-end": ("convnet", "dir1.0", "pretrained", "fedavg"),
    "iid-round-end": ("convnet", "dir1.0", "iid-round", "fedavg"),
}


def runs(model="convnet", partition=None, init=None, method=None) -> set[Run]:
    """Runs by name; None means all names."""
    wanted = (model, partition, init, method)

    def fits(run: Run) -> bool:
        return all(want is None or name in ([want] if isinstance(want, str) else want)
                   for name, want in zip(run, wanted, strict=True))  # fmt: skip

    return {run for run in RUNS if fits(run)}


def groups(folder: str, each: dict[str, set[Run]]) -> dict[str, set[Run]]:
    return {f"{folder}/digits_{name}_seed0": members for name, members in each.items()}


PLANES = {
    **groups("planes/global-random", {"all": runs(partition=ALPHAS, init="random", method="fedavg")}),
    **groups("planes/global-pretrained", {"all": runs(partition=ALPHAS, init=("pretrained", "pretrained-end"))}),
    **groups("planes/global-iid-round", {
        "all": runs(partition=ALPHAS, init="iid-round") | runs(init="iid-round-end"),
    }),
    **groups("planes/single", {"all": runs(partition="dir0.3", init="random")}),
    **groups("planes/participation", {p: runs(partition=p) for p in ("iid-50", "dir0.5-50")}),
    **groups("planes/finals", {init: runs(partition=FINALS, init=init) for init in STARTS}),
    **groups("planes/finals-resnet20", {init: runs(model="resnet20", init=init) for init in STARTS}),
    **groups("planes/local-early", {"all": runs(partition="dir0.3", init="random")}),
    **groups("planes/local", {p: runs(partition=p, init="random", method="fedavg") for p in FINALS}),
}  # fmt: skip
PATHS = {
    **groups("connectivity/finals", {i: runs(partition=(*FINALS, "iid-b"), init=i) for i in STARTS}),
    **groups("connectivity/basins", {i: runs(partition=FINALS, init=i) for i in STARTS}),
}
BARRIERS = groups("connectivity/clients", {"all": runs(partition="dir0.1", init="random")})
HESSIANS = groups("curvature/start-and-end", {init: runs(partition=FINALS, init=init) for init in STARTS})
DRIFT = groups("drift/updates", {"convnet": runs()})
FIGURES = {  # figure -> the folder that it is drawn from
    "figure-1": "planes/global-iid-round",
    "figure-1-random": "planes/global-random",
    "figure-2a": "planes/single",
    "figure-2b": "planes/local-early",
    "figure-3a": "planes/finals/digits_random",
    "figure-3b": "planes/finals-resnet20/digits_random",
    "figure-3c": "connectivity/finals/digits_random",
    "figure-4": "planes/local/",
    "figure-5a": "planes/finals/digits_pretrained",
    "figure-5b": "planes/finals-resnet20/digits_pretrained",
    "figure-5c": "connectivity/finals/digits_pretrained",
    "figure-6a": "planes/global-pretrained",
    "figure-6b": "planes/global-iid-round",
    "figure-7": "planes/participation",
    "layers": "connectivity/clients",
    "accuracy": "tables",
    "loss": "tables",
}
# Folders that claims read.
CLAIMED = ("planes/global-pretrained", "planes/global-iid-round", "planes/finals", "planes/local", "tables")
READINGS = {  # table -> folders of what it reads
    "readings": ("planes/global-iid-round", "tables"),
    "readings-barriers": ("connectivity/finals", "tables"),
}
TABLES = {"tables": {"tables/runs.csv"}}
CLAIMS = {"claims": {"tables/claims.csv"}}
PAGE = {"page": {"index.html"}}
NOTHING: dict[str, set[str]] = {}


def drawn(*names: str) -> set[str]:
    return {f"figures/{name}.png" for name in names}


def trained(*chosen: Run) -> set[str]:
    """First outputs of the training jobs of these runs."""
    return {
        f"runs/digits/{model}/{partition}/{init}/{method}/seed0/trajectory.safetensors"
        for model, partition, init, method in chosen
    }


def joined(*jobs: dict[str, set[str]]) -> dict[str, set[str]]:
    """All of these jobs."""
    return {rule: set().union(*(one.get(rule, ()) for one in jobs)) for one in jobs for rule in one}


def collected(jobs: dict[str, set[str]]) -> dict[str, set[str]]:
    """With the table of costs, which has a row for each long job, and the page, which shows all that is drawn."""
    long = {"train", "initial", "pretrain", "plane", "surface", "path", "curve", "layers", "curvature"}
    costs = {"costs": {"tables/costs.csv"}} if long & set(jobs) else {}
    is_shown = bool((long | {"tables", "claims", "table", "figure", "costs"}) & set(jobs))
    return joined(jobs, costs, PAGE if is_shown else {})


def shown(*folders: str) -> dict[str, set[str]]:
    """What only reads: figures and claims from files in these folders."""
    figures = {
        name for name, source in FIGURES.items() if any(folder.startswith(source) for folder in folders)
    }
    claimed = any(folder.startswith(source) for folder in folders for source in CLAIMED)
    return {**({"figure": drawn(*figures)} if figures else {}), **(CLAIMS if claimed else {})}


def read(*folders: str) -> dict[str, set[str]]:
    """The tables of the two readings that take markers, barriers or other tables from these folders."""
    found = {
        f"tables/{name}.csv"
        for name, sources in READINGS.items()
        if any(folder.startswith(source) for folder in folders for source in sources)
    }
    return {"table": found} if found else {}


def tabled() -> dict[str, set[str]]:
    return joined(TABLES, shown("tables"), read("tables"))


def surfaces(*names: str) -> dict[str, set[str]]:
    """The surfaces of these entries (all if none is named), and what shows them."""
    folders = {folder for folder in PLANES if not names or folder.split("/")[1] in names}
    made = {f"{folder}/surface.csv" for folder in folders}
    exported = {f"{folder}/surface.vts" for folder in folders}
    return joined({"surface": made, "export": exported}, shown(*folders))


def planes(*names: str) -> dict[str, set[str]]:
    """The planes of these entries, and what follows."""
    folders = {folder for folder in PLANES if folder.split("/")[1] in names}
    laid = {f"{folder}/plane.safetensors" for folder in folders}
    return joined({"plane": laid}, surfaces(*names), read(*folders))


def retrained(chosen: set[Run]) -> dict[str, set[str]]:
    """Training of these runs, of those that continue them, and all that looks at any of them."""
    initial = set()
    while True:
        started = {init for init, source in CONTINUED.items() if source in chosen and init not in initial}
        if not started:
            break
        initial |= started
        chosen = chosen | runs(init=tuple(started))

    def touched(folders: dict[str, set[Run]]) -> set[str]:
        return {folder for folder, members in folders.items() if members & chosen}

    looked_at = touched(PLANES)
    jobs = {
        "train": trained(*chosen),
        "initial": {f"initial/digits/convnet/{init}/seed0.safetensors" for init in initial},
        "plane": {f"{folder}/plane.safetensors" for folder in looked_at},
        "surface": {f"{folder}/surface.csv" for folder in looked_at},
        "export": {f"{folder}/surface.vts" for folder in looked_at},
        "path": {f"{folder}/path.csv" for folder in touched(PATHS)},
        "layers": {f"{folder}/layers.csv" for folder in touched(BARRIERS)},
        "curvature": {f"{folder}/curvature.csv" for folder in touched(HESSIANS)},
        "drift": {f"{folder}/drift.csv" for folder in touched(DRIFT)},
        "costs": {"tables/costs.csv"},
    }
    return joined({rule: files for rule, files in jobs.items() if files},
                  tabled(), shown(*looked_at, *touched(PATHS), *touched(BARRIERS)))  # fmt: skip


def split_anew(*partitions: str) -> dict[str, set[str]]:
    """New partitions, and what follows."""
    made = {"partition": {f"partitions/digits/{name}/seed0.npz" for name in partitions}}
    shown_too = {"figure": drawn("partitions")} if set(partitions) & {*ALPHAS, "dir0.5-50"} else {}
    return joined(made, retrained(runs(model=None, partition=partitions)), shown_too)


def starts(*names: tuple[str, str]) -> dict[str, set[str]]:
    """The jobs that make starts, by model and name; those that are trained for have a rule of their own."""
    jobs: dict[str, set[str]] = {}
    for model, init in names:
        made = jobs.setdefault("pretrain" if init == "pretrained" else "initial", set())
        made.add(f"initial/digits/{model}/{init}/seed0.safetensors")
    return jobs


def started_anew(*inits: str) -> dict[str, set[str]]:
    """New starts, and what follows."""
    made = starts(*((model, init) for model in ("convnet", "resnet20") for init in inits))
    return joined(made, retrained(runs(model=None, init=inits)))


def remodelled(model: str) -> dict[str, set[str]]:
    """Another network by this name, and what follows."""
    return joined(starts(*((model, init) for init in STARTS)), retrained(runs(model=model)))


def walked(*names: str) -> dict[str, set[str]]:
    """New paths of these entries (all if none is named), and what follows."""
    folders = {folder for folder in PATHS if not names or folder.split("/")[1] in names}
    return joined({"path": {f"{folder}/path.csv" for folder in folders}}, shown(*folders), tabled())


def bent() -> dict[str, set[str]]:
    """New curvatures, and what follows."""
    return joined({"curvature": {f"{folder}/curvature.csv" for folder in HESSIANS}}, tabled())


def averaged() -> dict[str, set[str]]:
    """New layer-wise barriers, and what follows."""
    made = {"layers": {f"{folder}/layers.csv" for folder in BARRIERS}}
    return joined(made, shown(*BARRIERS), tabled())
