import json
import re

import h5py
import numpy as np
import pytest

from deblur_zoo import Restorer, zoo
from deblur_zoo.zoo import presets, registry


@pytest.fixture
def hub(tmp_path, tiny_model, monkeypatch):
    """A folder like ``hub_models`` with a trained and an untrained preset."""
    folder = tmp_path / "hub"
    trained = presets.save_preset(tiny_model, folder / "tiny", "tiny")
    presets.save_preset(
        tiny_model, folder / "tiny_full", "tiny_full", weights=False, without_weights="Too slow; use tiny instead."
    )
    entries = {
        "tiny": {
            "kind": "deblurrer",
            "weights_sha256": trained["weights"]["sha256"],
            "training": {"steps": 7, "faces": 3},
            "measured": {"psnr": 30.5},
        },
        "tiny_full": {"kind": "deblurrer", "weights_sha256": None, "training": None, "measured": None},
        "alone": {"kind": "parser"},
    }
    (folder / "index.json").write_text(json.dumps({"format_version": 1, "presets": entries}))
    # `zoo` first: it imports the name lazily, and would keep the replacement.
    for module in (zoo, registry):
        monkeypatch.setattr(module, "hub_folder", lambda: folder)
    return folder


def change_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def same_weights(model, other):
    return all(np.array_equal(a, b) for a, b in zip(model.get_weights(), other.get_weights(), strict=True))


def test_list_models(hub):
    assert zoo.list_models() == ["alone", "tiny", "tiny_full"]
    assert zoo.list_models(kind="deblurrer") == ["tiny", "tiny_full"]
    assert zoo.list_models("tiny*") == ["tiny", "tiny_full"] and zoo.list_models("*_full") == ["tiny_full"]
    assert zoo.list_models("TINY") == zoo.list_models("none*") == []
    with pytest.raises(ValueError, match="'generator'.* deblurrer, parser"):
        zoo.list_models(kind="generator")


def test_load_by_name_and_by_directory_gives_the_saved_network(hub, tiny_model):
    images = np.random.default_rng(0).uniform(size=(2, 9, 7, 3))
    for source in ("tiny", hub / "tiny", str(hub / "tiny"), (hub / "tiny").as_uri()):
        model = zoo.load(source)
        assert model.name == "tiny" and type(model) is type(tiny_model) and same_weights(model, tiny_model)
        np.testing.assert_array_equal(model(images), tiny_model(images))


@pytest.mark.parametrize(
    "name",
    [
        # Large networks take seconds to build; test_every_preset.py compares all parameters with the index.
        pytest.param(name, marks=[] if name.endswith("_lite") or name == "face_parser" else pytest.mark.slow)
        for name in zoo.list_models()
    ],
)
def test_a_preset_of_the_hub_is_as_its_index_says(name):
    """test_shipped_weights.py loads the trained deblurrers."""
    description = zoo.describe(name)
    entry = registry._index()[name]
    assert description.name == name and description.config["class"] == entry["class"]
    assert description.config["kind"] == entry["kind"] and f"{name} ({entry['kind']})" in str(description)
    assert description.parameters == entry["parameters"]
    assert description.multiply_adds / 1e9 == pytest.approx(entry["gmac_128"], abs=0.01)
    if entry["weights_sha256"]:
        assert entry["kind"] == "deblurrer" or zoo.load(name).name == name


@pytest.mark.parametrize("name", zoo.list_models(trained=False))
def test_an_untrained_preset_of_the_hub_names_trained_ones(name):
    with pytest.raises(ValueError, match="no trained weights") as refused:
        zoo.load(name)
    sentence = presets.read_config(zoo.preset_folder(name))["without_weights"]
    named = set(re.findall(r"\w+", sentence)) & set(zoo.list_models())
    assert named and all(registry._index()[other]["weights_sha256"] for other in named), refused.value


def test_the_face_parser_is_a_preset_of_its_own_kind(tmp_path):
    """Saved and loaded like a deblurrer, and labels a picture."""
    trained, untrained = zoo.list_models(trained=True), zoo.list_models(trained=False)
    assert "one_step_lite" in trained and "umsn_paper" in untrained
    assert sorted(trained + untrained) == zoo.list_models()
    assert "face_parser" in zoo.list_models(kind="parser") and "one_step_paper" not in zoo.list_models(kind="parser")
    parser = zoo.load("face_parser", weights=False)
    assert parser.parse(np.zeros((5, 3), np.uint8)).shape == (5, 3)
    config = presets.save_preset(parser, tmp_path / "own", "own")
    assert config["kind"] == "parser" and config["arguments"] == parser.settings
    loaded = zoo.load(tmp_path / "own")
    # Stored as float16: 11 bits.
    images = np.random.default_rng(0).uniform(size=(1, 8, 9, 3))
    np.testing.assert_allclose(loaded(images), parser(images), atol=0.02)


def test_a_preset_of_another_kind_is_refused_where_a_kind_is_needed(tmp_path):
    with pytest.raises(ValueError, match="^face_parser .*'parser'.*'deblurrer'"):
        zoo.load("face_parser", weights=False, kind="deblurrer")
    assert zoo.load("face_parser", weights=False, kind="parser").kind == "parser"
    with pytest.raises(ValueError, match="kind 'deblurrer' is needed here"):
        Restorer("face_parser")


def test_untrained_models(hub, tiny_model):
    with pytest.raises(ValueError, match=r"'tiny_full' .*Too slow; use tiny instead\. weights=F"):
        zoo.load("tiny_full")
    for source in ("tiny_full", "tiny"):
        model = zoo.load(source, weights=False)
        assert model.count_params() == tiny_model.count_params() and not same_weights(model, tiny_model)


@pytest.mark.parametrize(
    "name, message",
    [
        (
            "tinny",
            "There is no preset 'tinny'; near names: tiny; a directory with config.json and a file://",
        ),
        ("resnet", "There is no preset 'resnet'; the names are tiny; a directory"),
    ],
)
def test_a_wrong_name_lists_near_ones_that_load_and_what_else_is_accepted(hub, name, message):
    with pytest.raises(ValueError, match=message):
        zoo.load(name)


def test_wrong_sources(hub):
    with pytest.raises(FileNotFoundError, match="no directory .*absent"):
        zoo.load(hub / "absent")
    with pytest.raises(FileNotFoundError, match="no directory some/absent"):
        zoo.load("some/absent")
    with pytest.raises(ValueError, match="is a file, not a preset"):
        zoo.load(hub / "tiny" / "model.weights.h5")
    with pytest.raises(TypeError, match="a name, a directory or a URI"):
        zoo.load(None)
    (hub / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="empty has no config.json"):
        zoo.load(hub / "empty")


@pytest.mark.parametrize("by_name", [True, False])
def test_weights_are_verified_before_use(hub, by_name):
    source = "tiny" if by_name else hub / "tiny"
    path = hub / "tiny" / "model.weights.h5"
    data = path.read_bytes()

    path.write_bytes(data[:1000])
    with pytest.raises(ValueError, match="truncated: 1,000 bytes"):
        zoo.load(source)
    path.write_bytes(data + b"0")
    with pytest.raises(ValueError, match="is too long"):
        zoo.load(source)
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ValueError, match="is damaged or was altered"):
        zoo.load(source)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="model.weights.h5 is missing"):
        zoo.load(source)
    assert zoo.load(source, weights=False).name == "tiny"


def test_a_name_is_checked_against_the_index_not_the_directory(hub, tiny_model):
    """Weights exchanged together with their config are noticed."""
    path = hub / "tiny" / "model.weights.h5"
    with h5py.File(path, "r+") as file:
        file["first/vars/1"][0] += 1
    changed = presets.read_config(hub / "tiny")["weights"] | {"sha256": presets.sha256_of(path)}
    change_config(hub / "tiny", weights=changed)
    assert not same_weights(zoo.load(hub / "tiny"), tiny_model)
    with pytest.raises(ValueError, match="altered"):
        zoo.load("tiny")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"class": "TwoSteps"}, r"config\.json: the class 'TwoSteps' is neither one of the zoo's \(.*OneStep.* nor a"),
        ({"class": None}, "the class None"),
        ({"class": ["OneStep"]}, "the class"),
        ({"format_version": 2}, "format_version 2, this deblur_zoo reads up to 1"),
        ({"format_version": "1"}, "has no format_version"),
        ({"format_version": True}, "has no format_version"),
        ({"arguments": {"widht": 8}}, "the unknown argument 'widht'; accepted: width, reduced_width, modules"),
        ({"arguments": {"dtype": "float16"}}, "the unknown argument 'dtype'"),
        ({"arguments": {"width": "wide"}}, "invalid arguments: OneStep: width must be whole numbers"),
        ({"arguments": {"kernel_sizes": 3}}, "invalid arguments: "),
        ({"arguments": [8]}, "'arguments' must be an object"),
        ({"arguments": {"width": 12, "modules": 1}}, "belongs to another network or other arguments|it would have"),
        # Counted before they are made: gigabytes, or hours.
        (
            {"arguments": {"width": 90_000, "reduced_width": 90_000}},
            "invalid arguments: it would have [0-9,]{14,} weights",
        ),
        ({"arguments": {"width": 10**9}}, "invalid arguments: width is 1000000000; up to"),
        ({"arguments": {"kernel_sizes": [1] * 33}}, "invalid arguments: kernel_sizes is .* up to 32 numbers"),
        (
            {"arguments": {"modules": 301, "kernel_sizes": [1]}},
            "parts of it are repeated 301 times, with lists of up to 1",
        ),
        ({"arguments": {"modules": 40, "kernel_sizes": [1] * 28}}, "repeated 40 times, with lists of up to 28 numbers"),
        ({"arguments": {"scale": 2_000}}, "invalid arguments: it works on multiples of 2,000 pixels"),
        ({"arguments": {"leaky_slope": float("nan")}}, "invalid arguments: leaky_slope is nan"),
        ({"name": "../x"}, "the name '../x' must be letters"),
        ({"weights": "model.weights.h5"}, "must name a file in the directory"),
        ({"weights": {"file": "../model.weights.h5", "sha256": "0" * 64}}, "must name a file in the directory"),
        ({"weights": {"file": "model.pkl", "sha256": "0" * 64}}, r"ends in \.weights\.h5"),
        ({"weights": {"file": "model.weights.h5"}}, "must give the file's sha256"),
        ({"weights": {"file": "model.weights.h5", "sha256": "abc"}}, "must give the file's sha256"),
    ],
)
def test_faulty_configs(tiny_preset, changes, message):
    change_config(tiny_preset, **changes)
    with pytest.raises(ValueError, match=message) as caught:
        zoo.load(tiny_preset)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b"\xff\xfe\x00", b"[" * 100_000, b'"' + b"a" * 1_100_000 + b'"'])
def test_a_config_that_is_no_json(tiny_preset, text):
    (tiny_preset / "config.json").write_bytes(text)
    with pytest.raises(ValueError, match="config.json .*JSON"):
        zoo.load(tiny_preset)


def test_a_broken_index_is_named(hub):
    for text, message in [("{}", "has no format_version"), ('{"format_version": 1}', "holds no presets")]:
        (hub / "index.json").write_text(text)
        with pytest.raises(ValueError, match=f"index.json {message}"):
            zoo.list_models()
    (hub / "index.json").unlink()
    with pytest.raises(FileNotFoundError, match="index.json is missing"):
        zoo.list_models()


def test_save_preset_writes_what_the_format_says(tiny_preset, tiny_model):
    config = json.loads((tiny_preset / "config.json").read_text())
    path = tiny_preset / "model.weights.h5"
    assert config["format_version"] == 1 and config["class"] == "OneStep" and config["kind"] == "deblurrer"
    assert config["arguments"] == tiny_model.settings and config["arguments"]["kernel_sizes"] == [1, 3]
    assert config["weights"]["bytes"] == path.stat().st_size and config["weights"]["dtype"] == "float16"
    assert config["alignment"]["points"]["left_mouth"] == [0.375, 0.65]
    assert {path.name for path in tiny_preset.iterdir()} == {"config.json", "model.weights.h5"}


def test_save_preset_refuses_a_class_it_could_not_load(tmp_path):
    import keras

    with pytest.raises(ValueError, match="not a Sequential"):
        presets.save_preset(keras.Sequential(), tmp_path / "a", "a")
    assert not (tmp_path / "a").exists()


def test_initial_weights_from_a_file_and_from_a_preset(tiny_preset, tiny_model):
    for source in (tiny_preset / "model.weights.h5", str(tiny_preset / "model.weights.h5"), tiny_preset):
        model = zoo.load(tiny_preset, weights=False)
        zoo.load_initial_weights(model, source)
        assert same_weights(model, tiny_model)
    change_config(tiny_preset, arguments={"width": 4})
    other = zoo.load(tiny_preset, weights=False)
    change_config(tiny_preset, arguments=tiny_model.settings)
    with pytest.raises(ValueError, match="a different network"):
        zoo.load_initial_weights(other, tiny_preset)


def test_describe(hub):
    description = zoo.describe("tiny")
    # first, two reductions, two branches, merge, last: weights and biases.
    parameters = (108 * 8 + 8) + 2 * (8 * 4 + 4) + (16 + 4) + (9 * 16 + 4) + (64 + 8) + (2 * 2 * 8 * 3 + 3)
    macs = 64 * 64 * (108 * 8 + 2 * 32 + 16 + 144 + 64 + 96)
    assert (description.parameters, description.multiply_adds) == (parameters, macs)
    text = str(description)
    for part in ("tiny (deblurrer)", f"{parameters:,}", f"{macs:,}", "float16", "steps 7, faces 3", "psnr 30.5"):
        assert part in text
    assert "none. Too slow; use tiny instead." in str(zoo.describe("tiny_full"))
    assert "A paper" not in text


def test_describe_needs_no_weights(tiny_preset):
    (tiny_preset / "model.weights.h5").unlink()
    assert "A paper" in str(zoo.describe(tiny_preset))
