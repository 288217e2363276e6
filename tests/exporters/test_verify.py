"""The comparison itself, with a small program in place of a real format."""

import textwrap

import numpy as np
import pytest

from exporters.verify import Case, Compared, VerificationError, encoded_cases, float_cases, verify

ANSWERS_BY_RULE = """
    import sys
    import numpy as np
    written, sent, received = sys.argv[1:]
    rule = open(written).read()
    requests = np.load(sent, allow_pickle=False)
    answers = {key: requests[key] for key in requests.files if not key.endswith("signature")}
    if rule == "crash":
        raise RuntimeError("cannot open the flower")
    for key in list(answers):
        if rule == "shift":
            answers[key] = answers[key] + np.float32(0.0002)
        if rule == "nan" and key == "1/images":
            answers[key] = answers[key] * np.float32("nan")
        if rule == "double":
            answers[key] = answers[key].astype(np.float64)
        if rule == "narrow":
            answers[key] = answers[key][:, :, 1:]
        if rule == "forget" and key == "1/images":
            del answers[key]
    if rule == "wait":
        import time
        time.sleep(60)
    np.savez(received, **answers)
"""


@pytest.fixture
def run(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(ANSWERS_BY_RULE))

    def run_rule(rule, cases, **options):
        written = tmp_path / "written"
        written.write_text(rule)
        return verify(written, program, cases, **options)

    return run_rule


def unchanged(pictures, training):
    assert training is False
    return pictures


def steep(pictures, training):
    """A network that makes a thousand times as much of a rounding error where a picture is small."""
    return 1000 * pictures if pictures.shape[1] < 9 else pictures


def brighter(pictures, training):
    return np.minimum(pictures + 2 / 255, 1)


@pytest.fixture(scope="module")
def cases():
    return float_cases(unchanged, "serving_default", shapes=((1, 1, 1), (2, 5, 9)))


def test_equal_answers_pass(run, cases):
    compared = run("same", cases)
    assert [result.difference for result in compared] == [0.0, 0.0]
    assert str(compared[1]) == "serving_default: 2 of 5x9 pixels: largest difference 0 (allowed 0.0001)"


def test_what_rounding_makes_of_it_is_allowed():
    """2**-22 of 1000 times a picture in [0, 1], twice: of the order of 5e-4."""
    small, large = float_cases(steep, "serving_default", shapes=((1, 8, 13), (1, 9, 13)))
    assert 3e-4 < small.tolerance < 6e-4 and large.tolerance == 1e-4


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("shift", r"2 of 2 cases: .* 0.0002 \(allowed 0.0001\)"),
        ("nan", "1 of 2 cases: .* nan"),
        ("double", r"float64 \(1, 1, 1, 3\).*float32 \(1, 1, 1, 3\)"),
        ("narrow", r"float32 \(1, 1, 0, 3\)"),
        ("forget", "no answer .*2 of 5x9"),
        ("crash", r"exit code 1\): RuntimeError: cannot open the flower"),
    ],
)
def test_every_fault_is_found(run, cases, rule, sentence):
    with pytest.raises(VerificationError, match=sentence):
        run(rule, cases)


def test_a_process_that_hangs_is_given_up(run, cases):
    with pytest.raises(VerificationError, match="within 1 seconds"):
        run("wait", cases, timeout=1)


def test_encoded_answers_are_compared_as_pictures(run):
    compared = run("same", encoded_cases(unchanged, "serving_bytes")[:2])
    # The program gives the files back as they are, and the model changes nothing.
    assert [result.difference for result in compared] == [0.0, 0.0]
    assert str(compared[0]) == "serving_bytes: PNG: largest difference 0 grey levels (allowed 1)"
    with pytest.raises(VerificationError, match="largest difference 2 grey levels"):
        run("same", encoded_cases(brighter, "serving_bytes")[:1])


def test_encoded_cases_hold_a_batch_of_different_sizes():
    last = encoded_cases(unchanged, "serving_bytes")[-1]
    assert len({picture.shape for picture in last.expected}) >= 4
    assert all(picture.shape[-1] == 3 for picture in last.expected)


def test_an_answer_that_is_no_picture(run):
    junk = Case("serving_bytes", "junk", [b"no picture"], [np.zeros((1, 1, 3), np.uint8)], 1)
    with pytest.raises(VerificationError, match="junk: .*not an image"):
        run("same", [junk])


def test_a_difference_at_the_limit_passes_and_nan_never():
    case = Case("s", "t", np.zeros((1, 1, 1, 3)), np.zeros((1, 1, 1, 3)), 1e-4)
    assert Compared(case, 1e-4).passed
    assert not Compared(case, 1.1e-4).passed
    assert not Compared(case, float("nan")).passed
