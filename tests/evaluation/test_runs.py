"""Runs: each picture's numbers, resuming, and folders of another method's outputs."""

import dataclasses
import shutil

import numpy as np
import pytest
from PIL import Image
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from deblur_zoo.evaluation import runs
from deblur_zoo.evaluation.faces import Faces
from deblur_zoo.evaluation.measures import Identity, Quality, Remembered
from deblur_zoo.evaluation.methods import BLURRED_INPUT, SHARP_INPUT, Method, open_method
from deblur_zoo.evaluation.protocols import OPTIONS, make_test_set
from deblur_zoo.files import pictures


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two people, one with two pictures."""
    folder = tmp_path_factory.mktemp("crops")
    for index, name in enumerate(("ann/1.png", "ann/2.png", "bob/1.png")):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.fromarray(data.astronaut()[10 * index : 128 + 10 * index, 150:278]).save(folder / name)
    return folder


@pytest.fixture(scope="module", name="test_set")
def kernel_sizes(folder):
    return make_test_set("kernel_sizes", Faces(folder))


def darker(most=10**9):
    counted = []

    def restore(batch, names, kernels):
        if len(counted) >= most:
            raise KeyboardInterrupt
        counted.append(names)
        return (0.9 * batch.blurred).astype(np.uint8)

    return Method("darker", restore, {"factor": 0.9}), counted


def test_every_number_against_scikit_image(test_set, tmp_path):
    method, _ = darker()
    blurred, sharp, restored = runs.run_all([method], [test_set], [Quality()], tmp_path)
    assert [result.method.name for result in (blurred, sharp)] == [BLURRED_INPUT, SHARP_INPUT]
    assert (sharp.pictures["psnr"] == 60).all() and (sharp.pictures["ssim_volume"] > 0.999999).all()
    expected = {BLURRED_INPUT: [], "darker": []}
    groups = []
    for batch in test_set.protocol.batches(test_set.faces):
        for truth, picture in zip(batch.sharp, batch.blurred, strict=True):
            groups.append(batch.group)
            for name, estimate in ((BLURRED_INPUT, picture), ("darker", (0.9 * picture).astype(np.uint8))):
                similarity = structural_similarity(
                    truth, estimate, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, channel_axis=-1,
                )  # fmt: skip
                shift = np.abs((estimate.astype(float) - truth).mean(axis=(0, 1))).mean() / 2.55
                expected[name].append((peak_signal_noise_ratio(truth, estimate), similarity, shift))
    for result in (blurred, restored):
        found = result.pictures[["psnr", "ssim", "colour_shift"]].to_numpy()
        # float32 in ours, float64 in theirs.
        np.testing.assert_allclose(found, expected[result.method.name], rtol=0, atol=2e-4)
    assert len(groups) == 24 and restored.pictures["group"].tolist() == groups
    frame = runs.frame_of([blurred, sharp, restored])
    gains = np.array(expected["darker"])[:, 0] - np.array(expected[BLURRED_INPUT])[:, 0]
    found = frame[frame["method"] == "darker"]
    np.testing.assert_allclose(found["gain"], gains, atol=4e-4)
    assert found["made_worse"].tolist() == (gains < 0).astype(float).tolist()


def test_a_run_that_breaks_off_is_resumed(test_set, tmp_path):
    def run(method, folder):
        (result,) = runs.run([method], test_set, [Quality()], tmp_path / folder, batch_size=2)
        return result.pictures

    whole = run(darker()[0], "whole")
    with pytest.raises(KeyboardInterrupt):
        run(darker(most=3)[0], "broken")
    file = next((tmp_path / "broken").rglob("report.tsv"))
    # Killed while it wrote: the last row is cut.
    file.write_bytes(file.read_bytes()[:-7])
    method, counted = darker()
    resumed = run(method, "broken")
    assert resumed.sort_values("pair").reset_index(drop=True).equals(whole.sort_values("pair").reset_index(drop=True))
    # Of 16 batches (8 sizes of 2 and 1 faces), two were whole.
    assert len(counted) == 14
    counted.clear()
    assert run(method, "broken").equals(resumed) and counted == []
    # Killed after the header.
    file.write_bytes(file.read_bytes().splitlines(keepends=True)[0])
    assert run(method, "broken").equals(whole) and len(counted) == 16
    counted.clear()
    run(dataclasses.replace(method, of={"factor": 0.8}), "broken")
    assert len(counted) == 16


def test_renamed_faces_are_measured_again(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "crops")
    method, counted = darker()

    def measured():
        test_set = make_test_set("sharp_in", Faces(tmp_path / "crops"))
        return set(runs.run([method], test_set, [Quality()], tmp_path / "kept")[0].pictures["face"])

    assert measured() == {"ann_1", "ann_2", "bob_1"}
    (tmp_path / "crops" / "bob").rename(tmp_path / "crops" / "cat")
    # The data's fingerprint is the same.
    assert measured() == {"ann_1", "ann_2", "cat_1"} and len(counted) == 2


def test_a_folder_of_other_files_is_left_alone(test_set, tmp_path):
    runs.run([darker()[0]], test_set, [Quality()], tmp_path)
    (folder,) = tmp_path.iterdir()
    (folder / "settings.json").unlink()
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="did not write"):
        runs.run([darker()[0]], test_set, [Quality()], tmp_path)
    assert (folder / "mine.txt").read_text() == "mine"


def test_a_batch_is_blurred_once_for_all_methods(test_set, tmp_path, monkeypatch):
    blurs, blur = [], type(test_set.protocol).blur

    def counting(self, *arguments):
        blurs.append(1)
        return blur(self, *arguments)

    monkeypatch.setattr(type(test_set.protocol), "blur", counting)
    runs.run_all([darker()[0]], [test_set], [Quality()], tmp_path)
    assert len(blurs) == 8


def test_another_methods_outputs(test_set, tmp_path):
    assert runs.write_inputs(test_set, tmp_path / "inputs") == 24
    first = tmp_path / "inputs" / "blurred" / "ann_1_13_k000.png"
    assert np.array_equal(pictures.read(first), test_set.protocol.pair(test_set.faces, "13", 0)[1])
    shutil.copytree(tmp_path / "inputs" / "sharp", tmp_path / "theirs")
    method = open_method(f"THEIRS={tmp_path / 'theirs'}")
    found = runs.run([method], test_set, [Quality()], tmp_path / "run")[0].pictures
    assert method.name == "THEIRS" and (found["psnr"] == 60).all()
    (tmp_path / "theirs" / first.name).unlink()
    with pytest.raises(ValueError, match="no output ann_1_13_k000"):
        runs.run([open_method(f"THEIRS={tmp_path / 'theirs'}")], test_set, [Quality()], tmp_path / "run")
    # Not NAME=FOLDER.
    with pytest.raises(Exception, match="file:"):
        open_method(f"file://{tmp_path}/none.tar.gz#sha256=00")
    with pytest.raises(ValueError, match="no pictures"):
        (tmp_path / "empty").mkdir()
        open_method(f"THEIRS={tmp_path / 'empty'}")


def test_two_versions_of_a_preset_get_different_names(tiny_preset, test_set):
    first, second = open_method(str(tiny_preset)), open_method(f"NEW={tiny_preset}")
    assert (first.name, second.name) == ("tiny", "NEW") and first.of == second.of
    batch = next(test_set.protocol.batches(test_set.faces))
    assert np.array_equal(first.restore(batch, None, None), second.restore(batch, None, None))
    assert second.parameters == first.parameters > 0


def test_outputs_under_other_names_are_other_outputs(tmp_path):
    for name in ("a.png", "b.png"):
        pictures.write(tmp_path / name, np.zeros((4, 4, 3), np.uint8))
    before = open_method(f"THEIRS={tmp_path}").of
    (tmp_path / "b.png").rename(tmp_path / "c.png")
    assert open_method(f"THEIRS={tmp_path}").of != before


def test_oracles_are_left_out_without_kernels_and_names_are_unique(test_set, folder, tmp_path):
    sharp_in = make_test_set("sharp_in", Faces(folder))
    found = runs.run_all([open_method("wiener")], [sharp_in], [Quality()], tmp_path)
    assert [result.method.name for result in found] == [BLURRED_INPUT, SHARP_INPUT]
    with pytest.raises(ValueError, match="two methods are called darker"):
        runs.run_all([darker()[0], darker()[0]], [test_set], [Quality()], tmp_path)


def test_identity_by_hand(test_set):
    """The embedding is a picture's mean colour, so that all can be computed here."""
    identity = Identity(lambda images, region: images.mean(axis=(1, 2)) - 0.3, {})
    batch = next(test_set.protocol.batches(test_set.faces))
    found = identity(test_set, batch, batch.blurred)
    truth, estimate = (
        images.astype(np.float64).mean(axis=(1, 2)) / 255 - 0.3 for images in (batch.sharp, batch.blurred)
    )
    truth, estimate = (e / np.linalg.norm(e, axis=1, keepdims=True) for e in (truth, estimate))
    np.testing.assert_allclose(found["identity_cosine"], (truth * estimate).sum(axis=1), atol=1e-4)
    # Near 0 the distance amplifies a cosine's rounding.
    np.testing.assert_allclose(found["identity_distance"], np.linalg.norm(truth - estimate, axis=1), atol=0.01)
    # A person's first picture is in the gallery: only ann's second is asked about.
    similar = estimate[1] @ truth[[0, 2]].T
    alone = Identity(lambda images, region: images.mean(axis=(1, 2)), {}, (test_set.faces[:2], ["ann", "ann"]))
    # Among one person every face is the first, which says nothing.
    assert np.isnan(alone(test_set, batch, batch.blurred)["rank"]).all()
    assert np.isnan(found["rank"][[0, 2]]).all() and found["rank"][1] == 1 + (similar[1] >= similar[0])


def test_what_is_remembered_is_computed_once():
    calls = []
    remembered = Remembered(lambda image: calls.append(image) or len(calls))
    a, b = np.zeros((2, 2, 3), np.uint8), np.ones((2, 2, 3), np.uint8)
    assert [remembered(a), remembered(b), remembered(a.copy())] == [1, 2, 1] and len(calls) == 2


@pytest.mark.parametrize(
    ("name", "size", "groups", "pictures_of_three", "sigma"),
    [
        ("shen", (128, 128), 8, 240, 0.01),
        ("qi", (128, 128), 8, 24, 0.0),
        ("umsn", (128, 128), 9, 27, 0.03),
        ("one_step", (112, 96), 8, 24, 0.01),
        ("sharp_in", (128, 128), 1, 3, None),
    ],
)
def test_protocols_of_papers(folder, name, size, groups, pictures_of_three, sigma):
    faces = Faces(folder)
    test_set = make_test_set(name, faces)
    assert test_set.faces.shape[1:3] == size and len(test_set.protocol.groups) == groups
    assert test_set.protocol.count(3) == pictures_of_three
    assert test_set.protocol.describe().get("noise_sigma") == sigma
    again = make_test_set(name, faces)
    first, second = (next(one.protocol.batches(one.faces)) for one in (test_set, again))
    assert np.array_equal(first.blurred, second.blurred)
    assert name in OPTIONS and test_set.people == ["ann", "ann", "bob"]
    if name == "one_step":
        assert np.array_equal(first.sharp[0], faces.faces[0, 8:120, 16:112])
        # Eight kernels, the same for every face.
        kernels = [batch.kernels.tolist() for batch in test_set.protocol.batches(test_set.faces)]
        assert kernels == [[index] * 3 for index in range(8)]


def test_unknown_and_incomplete_protocols(folder):
    with pytest.raises(ValueError, match="accepted: kernel_sizes"):
        make_test_set("none", Faces(folder))
    for name in ("chrysos", "pairs"):
        with pytest.raises(ValueError, match="--pairs"):
            make_test_set(name)
