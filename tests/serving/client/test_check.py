"""The check of a running server, against servers that are right, and wrong in one thing each."""

import numpy as np
import pytest

from deblur_zoo.files.command_line_tools import UsageError
from deblur_zoo.serving import check
from deblur_zoo.zoo import golden

PROTOCOLS = ("rest", "grpc")
QUESTIONS = [
    "status",
    "metadata",
    "serving_default",
    "serving_bytes",
    "text instead of floats",
    "a file that is not a picture",
    "status of an unknown model",
    "prediction of an unknown model",
]


@pytest.fixture
def golden_file(tmp_path):
    """What the fake server makes of pictures: mirrored and inverted."""
    images = golden.pictures(2, 16)
    restored = 65535 - 257 * images[:, :, ::-1].astype(np.uint16)
    path = tmp_path / "golden.npz"
    np.savez(path, images=images, restored=restored, weights_sha256=np.array("0"))
    return path


def ask(fake, name, golden_file, **options):
    return list(check.results(fake.target[name], ["one_step_lite"], golden_file=golden_file, timeout=20, **options))


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_server_that_is_right(fake, golden_file, name, capsys):
    # The protocol is found by trying.
    found = ask(fake, name, golden_file)
    assert [(result.what, result.passed, result.protocol) for result in found] == [
        (what, True, name) for what in QUESTIONS
    ]
    assert check.check(fake.target[name], ["one_step_lite"], golden_file=golden_file) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 9 and lines[-1] == "All 8 checks passed."
    assert lines[0] == f"passed  {name}  one_step_lite  status: version 3 AVAILABLE"
    assert lines[2].startswith(f"passed  {name}  one_step_lite  serving_default: largest difference ")


def wrong_floats(fake):
    real = fake.predict

    def predict(signature, values):
        restored = real(signature, values)
        return restored + 0.002 if signature == "serving_default" else restored

    fake.predict = predict


def wrong_files(fake):
    real = fake.predict

    def predict(signature, values):
        restored = real(signature, values)
        # Pictures in another order.
        return restored[::-1] if signature == "serving_bytes" else restored

    fake.predict = predict


def accepts_anything(fake):
    real = fake.predict

    def predict(signature, values):
        try:
            return real(signature, values)
        except (ValueError, OSError):
            return values

    fake.predict = predict


def other_input(fake):
    fake.signatures = {**fake.signatures, "serving_bytes": (("files", 7, [-1]), ("restored_bytes", 7, [-1]))}


def other_type(fake):
    fake.signatures = {
        **fake.signatures,
        "serving_default": (("images", 1, [-1, 128, 128, 3]), ("restored", 1, [-1, -1, -1, 3])),
    }


def other_output(fake):
    fake.signatures = {**fake.signatures, "serving_bytes": (("encoded", 7, [-1]), ("restored", 7, [-1]))}


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize(
    "spoil, failed, detail",
    [
        (wrong_floats, {"serving_default"}, "largest difference 0.002 (allowed: 0.001)"),
        (wrong_files, {"serving_bytes"}, "largest difference"),
        (
            accepts_anything,
            {"text instead of floats", "a file that is not a picture"},
            "",
        ),
        (other_input, {"metadata"}, "input of serving_bytes is files DT_STRING (-1,), not encoded DT_STRING (-1,)"),
        (other_output, {"metadata"}, "output of serving_bytes is restored DT_STRING (-1,), not restored_bytes"),
        (other_type, {"metadata"}, "input of serving_default is images DT_FLOAT (-1, 128, 128, 3), not images"),
    ],
)
def test_a_server_that_is_wrong_in_one_thing(fake, golden_file, name, spoil, failed, detail):
    spoil(fake)
    found = ask(fake, name, golden_file)
    assert {result.what for result in found if result.passed is not True} == failed
    assert all(detail in result.detail for result in found if not result.passed)
    assert len(found) == 8


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_server_that_knows_every_model(fake, golden_file, name, capsys):
    class Everything(set):
        def __contains__(self, model):
            return True

    fake.models = Everything()
    assert check.check(fake.target[name], ["one_step_lite"], golden_file=golden_file) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("2 of 8 checks failed: no_such_model_") and "status of an unknown model" in last


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_refusal_of_another_kind_is_a_failure(fake, golden_file, name):
    # After the requests for the protocol, state, metadata and two predictions.
    fake.script = [None] * 5 + [("refuse", 500, "INTERNAL", None, "stack trace")] * 2
    found = ask(fake, name, golden_file, protocol=name)
    failed = [result for result in found if not result.passed]
    assert [result.what for result in failed] == ["text instead of floats", "a file that is not a picture"]
    assert all(result.detail.startswith("INTERNAL (expected INVALID_ARGUMENT): ") for result in failed)


def test_failures_on_the_way_are_lines_of_their_own(fake, golden_file):
    # The first two requests find the protocol and the state.
    fake.script = [None, None, ("refuse", 500, "INTERNAL", None, "out of order")]
    found = ask(fake, "rest", golden_file, protocol="rest")
    assert [result.what for result in found if not result.passed] == ["metadata"]
    assert "out of order" in found[1].detail


def test_a_model_that_is_still_loading(fake, golden_file):
    fake.script = [None, ("answer", b'{"model_version_status": [{"version": "4", "state": "LOADING"}]}')]
    found = ask(fake, "rest", golden_file, protocol="rest")
    # Its predictions are not asked for: they could only fail.
    assert [(result.what, result.passed) for result in found] == [
        ("status", False),
        ("status of an unknown model", True),
        ("prediction of an unknown model", True),
    ]
    assert found[0].detail == "version 4 LOADING"


def test_presets_that_the_server_does_not_have(fake, monkeypatch, golden_file, capsys):
    wanted = golden.read(golden_file)
    monkeypatch.setattr(check.zoo, "list_models", lambda: ["one_step_lite", "umsn_lite", "untrained"])

    def read(preset):
        if preset == "untrained":
            raise FileNotFoundError
        return wanted

    monkeypatch.setattr(check.golden, "read", read)
    assert check.check(fake.rest) == 0
    out = capsys.readouterr().out
    assert "absent  rest  umsn_lite  status: " in out and "untrained" not in out and "All 8 checks passed." in out
    # Named, it must be there.
    assert check.check(fake.rest, ["umsn_lite"]) == 1
    assert "FAILED  rest  umsn_lite  status: The server at" in capsys.readouterr().out
    fake.models = set()
    assert check.check(fake.grpc) == 1
    assert "FAILED  grpc  any preset  model: the server has none of one_step_lite, umsn_lite" in capsys.readouterr().out


def test_wrong_arguments(fake, free_port, golden_file):
    cases = [
        (("localhost",), {}, "a server must be HOST:PORT"),
        (
            (f"127.0.0.1:{free_port}",),
            {},
            "no model server answers at .*; rest: .*cannot be reached.* grpc: .*cannot be",
        ),
        ((fake.rest,), {"protocol": "http"}, "the protocol must be rest or grpc, got 'http'"),
        ((fake.rest,), {"protocol": "grpc"}, "does not speak gRPC"),
        ((fake.grpc,), {"protocol": "rest"}, "does not speak HTTP"),
        ((fake.rest, ["one_stp"]), {}, "one_stp"),
        ((fake.rest, ["umsn_paper"]), {}, "umsn_paper has no golden outputs"),
        ((fake.rest, ["a", "b"]), {"golden_file": golden_file}, "exactly one model"),
        ((fake.rest,), {"golden_file": golden_file}, "exactly one model"),
        ((fake.rest, ["a"]), {"golden_file": "absent.npz"}, "there is no absent.npz"),
    ]
    for arguments, options, message in cases:
        with pytest.raises(UsageError, match=message):
            check.check(*arguments, **options)
