"""What make would run, by `make -n`, which runs nothing."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*arguments):
    # Without what a make that runs these tests tells its children: that they are not the first.
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }
    return subprocess.run(["make", "-n", *arguments], cwd=ROOT, capture_output=True, text=True, env=environment)


def test_train_runs_the_trainer_with_the_presets_own_recipe():
    done = make("train", "PRESET=one_step_lite", "FACES=crops/my train", "FLAGS=--seed 3")
    assert done.returncode == 0, done.stderr
    command = done.stdout.replace("\\\n", " ").splitlines()[-1].split()
    words = '.venv/bin/python -m trainers --preset "one_step_lite" --faces "crops/my train" --out "runs/one_step_lite"'
    assert command == [*words.split(), "--seed", "3"]
    done = make("train", "PRESET=presets/mine/", "FACES=a", "DEVELOPMENT=b", "OUT=c")
    assert '--preset "presets/mine/" --faces "a" --out "c"' in done.stdout and '--development "b"' in done.stdout
    assert '--out "runs/mine"' in make("train", "PRESET=presets/mine/", "FACES=a").stdout


def test_results_runs_the_command_of_the_document():
    done = make("results", "FACES=crops/dev", "FLAGS=--limit 3")
    assert done.returncode == 0, done.stderr
    words = (
        ".venv/bin/deblur-zoo-eval --preset all,unsharp_mask,wiener,richardson_lucy "
        '--protocol kernel_sizes,sharp_in,camera --speed --second_pass --faces "crops/dev" --out runs/results '
        '--document "docs/results.md" --limit 3'
    )
    assert done.stdout.replace("\\\n", " ").splitlines()[-1].split() == words.split()


def test_web_installs_what_the_lock_file_names_and_builds():
    done = make("web")
    assert done.returncode == 0, done.stderr
    words = '.venv/bin/python -m examples.web.build --preset "one_step_lite" --out "dist/web"'
    install, build = (line.split() for line in done.stdout.splitlines()[-2:])
    assert install == "npm ci --prefix examples/web".split() and build == words.split()
    assert '--preset "umsn_lite" --out "site"' in make("web", "PRESET=umsn_lite", "OUT=site").stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["train"], "PRESET and FACES must be given"),
        (["train", "PRESET=one_step_lite"], "PRESET and FACES must be given"),
        (["train", "FACES=crops"], "PRESET and FACES must be given"),
        (["results"], "FACES must be given"),
    ],
)
def test_what_is_missing_is_one_sentence_and_code_2(arguments, sentence):
    done = make(*arguments)
    assert done.returncode == 2 and sentence in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_other_targets_need_nothing():
    for target in ("demo", "test", "clean"):
        assert make(target).returncode == 0
