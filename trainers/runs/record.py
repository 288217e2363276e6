"""The environment of a run: the part of ``run.json`` that is not in the recipe."""

import subprocess
from pathlib import Path

from deblur_zoo.execution import device_names
from deblur_zoo.files.checksum import sha256_of
from trainers.runs.preparation import network_files

ROOT = Path(__file__).resolve().parents[2]


def provenance(options, recipe, distribution, test_bank, development=None):
    """Everything besides recipe, faces and versions that is needed to repeat a run on another machine.

    Args:
        options: dict of the arguments of ``trainers.train``.
        recipe: the complete recipe.
        distribution: a Distribution.
        test_bank: kernel bank of the development faces.
        development: FaceStore of the development faces, or None.

    Returns:
        dict that JSON can hold.
    """
    files = network_files(options)
    return {
        "seed": recipe["seed"],
        "precision": recipe["precision"],
        "devices": device_names(),
        "distribution": {"kind": options.get("distribution", "none"), "replicas": distribution.replicas},
        "git_revision": git_revision(),
        "init_parts": [f"{part}={source}" for part, source in options["init_parts"].items()],
        "kernel_banks": {
            "train": {kind: entry["seed"] for kind, entry in recipe["data"]["kernels"].items()},
            "test": test_bank.seed,
        },
        "development": development
        and {"folder": options["development"], "count": len(development), "sha256": development.fingerprint},
        "network_files": {name: {"file": Path(path).name, "sha256": sha256_of(path)} for name, path in files.items()},
    }


def git_revision(folder=ROOT):
    """The commit of a checkout, with "+changes" if tracked files differ from it; None outside a checkout."""
    if not (Path(folder) / ".git").exists():
        return None
    try:
        commit, changes = (
            subprocess.run(["git", "-C", str(folder), *command], capture_output=True, text=True, timeout=20, check=True)
            for command in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return commit.stdout.strip() + ("+changes" if changes.stdout.strip() else "")
