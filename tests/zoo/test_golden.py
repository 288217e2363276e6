import numpy as np
import pytest

from deblur_zoo import zoo
from deblur_zoo.zoo import golden


def test_a_parser_has_none():
    with pytest.raises(FileNotFoundError, match="has no golden outputs"):
        golden.read("face_parser")


def test_pictures_are_the_same_everywhere():
    drawn = golden.pictures()
    assert drawn.shape == (2, 64, 64, 3) and drawn.dtype == np.uint8
    assert 20 < drawn.std() < 90
    for name in zoo.list_models(kind="deblurrer", trained=True):
        # One grey level: another library of mathematics may round otherwise.
        assert np.abs(golden.read(name).images.astype(int) - drawn).max() <= 1


class Inverse:
    def __call__(self, images, training):
        return 1 - images


def test_what_is_written_is_read(tmp_path):
    golden.write(Inverse(), tmp_path, "0" * 64)
    assert [entry.name for entry in tmp_path.iterdir()] == [golden.FILE]
    content = golden.read(tmp_path / golden.FILE)
    # Half a step of 16 bits, and float32's own rounding.
    np.testing.assert_allclose(content.restored, 1 - content.images / 255, atol=0.5 / 65535 + 1e-7)
    assert content.weights_sha256 == "0" * 64


def test_files_that_hold_something_else(tmp_path):
    path = tmp_path / "golden.npz"
    with pytest.raises(FileNotFoundError, match="there is no .*golden.npz"):
        golden.read(path)
    path.write_bytes(b"PK\x03\x04 half a file")
    with pytest.raises(ValueError, match="golden outputs.*damaged"):
        golden.read(path)
    golden.write(Inverse(), tmp_path, "0" * 64)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match="golden outputs.*damaged"):
        golden.read(path)
    np.savez(path, images=np.zeros((2, 4, 4, 3)), restored=np.zeros((2, 4, 4, 3), np.uint16), weights_sha256="0")
    with pytest.raises(ValueError, match=r"not float64 \(2, 4, 4, 3\)"):
        golden.read(path)
    with pytest.raises(ValueError, match="one_step_lite"):
        golden.read("one_step_lit")
