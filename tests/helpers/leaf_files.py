"""Json files as LEAF's scripts write them."""

import json
from pathlib import Path


def leaf_file(by_user: dict[str, dict], **changes) -> dict:
    """What a file holds of users, each with lists x and y."""
    counts = [len(samples["y"]) for samples in by_user.values()]
    return {"users": list(by_user), "num_samples": counts, "user_data": by_user} | changes


def write_leaf(folder: Path, split: str, name: str, content: dict) -> None:
    """``<folder>/<split>/<name>.json``."""
    (folder / split).mkdir(parents=True, exist_ok=True)
    (folder / split / f"{name}.json").write_text(json.dumps(content))
