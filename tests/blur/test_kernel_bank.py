import numpy as np
import pytest

from deblur_zoo.blur.kernel_bank import KernelBank, count_shared
from deblur_zoo.blur.kernels import SHEN_SIZES, make_bank, standard_banks


@pytest.fixture(scope="module")
def banks():
    return standard_banks()


def test_standard_banks_are_those_of_shen(banks):
    train, test = banks
    assert (len(train), len(test)) == (20_000, 80)
    assert (train.split, test.split, train.kind) == ("train", "test", "trajectory")
    assert SHEN_SIZES == (13, 15, 17, 19, 21, 23, 25, 27)
    for size in SHEN_SIZES:
        assert len(test.of_size(size)) == 10
        assert len(train.of_size(size)) == 2500


def test_standard_banks_share_no_kernel(banks):
    train, test = banks
    assert count_shared(test, train) == 0
    # Nor does a bank hold a kernel twice.
    assert len({train.kernel(index).tobytes() for index in range(len(train))}) == len(train)
    assert len({test.kernel(index).tobytes() for index in range(len(test))}) == len(test)


def test_standard_banks_are_the_same_everywhere(banks):
    assert banks[0].digest() == "6b8ba9204e4463394ac1a0bc757102a0ae2bd8705e8f6c5b30116f91cd7f0c37"
    assert banks[1].digest() == "e9b169f69ed3074c5af62c94c8131e7eeaeab344ae3a110b378bf1707e761137"


def test_count_shared_sees_through_padding():
    few, more = make_bank("linear", 6, (9,)), make_bank("linear", 8, (9, 21))
    # Kernels 0, 2, 4 have the same stream and the same size in both; 1, 3, 5 another size.
    assert few.kernels.shape[1] == 9 and more.kernels.shape[1] == 21
    assert count_shared(few, more) == 3


def test_file_round_trip(tmp_path):
    bank = make_bank("gaussian_process", 7, (8, 13), seed=5, split="test")
    bank.save(tmp_path / "bank.npz")
    read = KernelBank.load(tmp_path / "bank.npz")
    np.testing.assert_array_equal(read.kernels, bank.kernels)
    np.testing.assert_array_equal(read.sizes, [8, 13, 8, 13, 8, 13, 8])
    assert (read.kind, read.seed, read.split) == ("gaussian_process", 5, "test")
    assert [path.name for path in tmp_path.iterdir()] == ["bank.npz"]


def test_padding_is_centred():
    small, large = np.full((4, 4), 1 / 16), np.full((7, 7), 1 / 49)
    bank = KernelBank.from_kernels([small, large], "linear", 0, "train")
    assert bank.kernels.shape == (2, 7, 7)
    # Pixel 4 // 2 = 2 of the small one lies on the middle pixel 3.
    np.testing.assert_array_equal(np.flatnonzero(bank.kernels[0].sum(axis=0)), [1, 2, 3, 4])
    np.testing.assert_array_equal(bank.kernel(0), small.astype(np.float32))
    even = KernelBank.from_kernels([small], "linear", 0, "train")
    assert even.kernels.shape == (1, 5, 5)


def test_description_by_hand():
    """Two kernels: a full 3 x 3 one, and three pixels in a row of a 5 x 5 one."""
    row = np.zeros((5, 5))
    row[2, 1:4] = 0.25, 0.5, 0.25
    bank = KernelBank.from_kernels([np.full((3, 3), 1 / 9)] * 9 + [row] * 9, "linear", 2, "test")
    first, *lines, digest = bank.describe().splitlines()
    assert first == "18 kernels (linear, test, seed 2) of sizes 3, 5"
    assert lines == [
        "longer side / size: 0.60, 0.80, 1.00",
        "pixels touched / size: 0.60, 1.80, 3.00",
        "brightest pixel's weight: 0.11, 0.31, 0.50",
    ]
    assert digest == f"digest: {bank.digest()}"


def test_name_must_end_in_npz(tmp_path):
    with pytest.raises(ValueError, match=r"\.npz, got 'bank\.bin'"):
        make_bank("linear", 1).save(tmp_path / "bank.bin")
    assert not list(tmp_path.iterdir())


def test_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "bank.npz"
    make_bank("linear", 2).save(target)
    before = target.read_bytes()

    def break_off(file, **arrays):
        with open(file, "wb") as opened:
            opened.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez_compressed", break_off)
    with pytest.raises(OSError, match="disk full"):
        make_bank("linear", 3).save(target)
    assert target.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"bank\.npz"):
        KernelBank.load(tmp_path / "bank.npz")


def damaged_files():
    bank = make_bank("linear", 4)
    good = dict(format_version=1, kernels=bank.kernels, sizes=bank.sizes, kind="linear", seed=0, split="train")
    yield "not a zip file", b"PK but not really", "damaged"
    yield "empty", b"", "damaged"
    yield "without sizes", {key: value for key, value in good.items() if key != "sizes"}, "damaged"
    yield "pickled", {**good, "kernels": np.array([{}], dtype=object)}, "damaged"
    yield "newer", {**good, "format_version": 2}, "up to 1"
    yield "even", {**good, "kernels": bank.kernels[:, 1:, 1:]}, "K odd"
    yield "too few sizes", {**good, "sizes": bank.sizes[:2]}, "as many sizes"
    yield "size too large", {**good, "sizes": bank.sizes + 20}, "padded size 19"
    yield "not normalised", {**good, "kernels": 2 * bank.kernels}, "sum to 1"
    yield "not a number", {**good, "kernels": bank.kernels * np.nan}, "sum to 1"
    yield "other split", {**good, "split": "dev"}, "'dev'"


@pytest.mark.parametrize(
    "content, sentence", [case[1:] for case in damaged_files()], ids=[c[0] for c in damaged_files()]
)
def test_damaged_file(tmp_path, content, sentence):
    path = tmp_path / "bank.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.savez(path, **content)
    with pytest.raises(ValueError, match=sentence):
        KernelBank.load(path)


def test_truncated_file(tmp_path):
    path = tmp_path / "bank.npz"
    make_bank("linear", 40).save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match="damaged"):
        KernelBank.load(path)
