import numpy as np
import pytest

from deblur_zoo.blur.kernel_sizes import parse_sizes
from deblur_zoo.blur.kernels import KernelBank, make_bank
from tests.commands import run_python


def run(*arguments):
    return run_python("-m", "deblur_zoo.blur", *arguments)


def test_writes_the_bank(tmp_path):
    path = tmp_path / "bank.npz"
    done = run("--kind=camera", "--split=test", "--count=12", "--sizes=8-10,21-25:2", "--seed=4", f"--out={path}")
    assert (done.returncode, done.stderr) == (0, "")
    bank, expected = KernelBank.load(path), make_bank("camera", 12, (8, 9, 10, 21, 23, 25), 4, "test")
    np.testing.assert_array_equal(bank.kernels, expected.kernels)
    assert expected.digest() in done.stdout


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--kind=spiral"], "'spiral'"),
        (["--sizes=13-x"], "'13-x'"),
        (["--sizes=1-5"], ">= 3, got 1"),
        (["--split=dev"], "'dev'"),
        (["--count=0"], "count"),
        (["--out=bank.txt"], "'bank.txt'"),
        (["--out=nowhere/bank.npz"], "nowhere"),
        (["--colour=red"], "Unknown command line flag"),
        (["more"], "'more'"),
    ],
)
def test_bad_input_is_one_sentence_and_code_2(tmp_path, monkeypatch, arguments, sentence):
    path = tmp_path / "bank.npz"
    done = run("--count=3", f"--out={path}", *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text, sizes", [("13", (13,)), ("8-11", (8, 9, 10, 11)), ("13-17:2,8", (13, 15, 17, 8)), (" 9 , 11", (9, 11))]
)
def test_sizes(text, sizes):
    assert parse_sizes(text) == sizes


@pytest.mark.parametrize("text", ["", "a", "13:2", "13-", "-13", "13-17:0", "13-17:", "13,,15", "17-13"])
def test_bad_sizes(text):
    with pytest.raises(ValueError):
        parse_sizes(text)
