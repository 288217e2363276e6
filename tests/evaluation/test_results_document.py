"""The results document for a small results.json: its tables, and the numbers in its sentences."""

import copy

import pytest

from deblur_zoo.evaluation.results_document import markdown

PROTOCOL = {
    "kernel_kind": "trajectory", "kernel_split": "test", "kernels": 80, "kernel_sizes": [13, 27],
    "kernels_per_size_and_face": 1, "convolution": "true convolution, border mirrored", "noise_sigma": 0.01,
    "input_bits": 8,
}  # fmt: skip
DATA = {"folder": "dev", "fingerprint": "ab" * 32, "faces": 3}
VERSIONS = {"keras": "3.15.1", "backend": "tensorflow"}


def scores(psnr, ssim, identity):
    return {
        "psnr": {"mean": psnr, "worst": psnr - 5}, "ssim": {"mean": ssim, "worst": ssim - 0.25},
        "colour_shift": {"mean": 0.064, "worst": 1.0}, "identity_cosine": {"mean": identity, "worst": 0.0},
    }  # fmt: skip


def compared(psnr, ssim, identity):
    return {
        "blurred": scores(21, 0.5, 0.25), "restored": scores(psnr, ssim, identity), "psnr_gain": {"mean": psnr - 21},
        "made_worse": 0.25 if psnr < 22 else 0.004,
    }  # fmt: skip


def restoration(psnr, sharp_in, **of):
    return {
        "of": {"data": DATA, "protocol": PROTOCOL, **of}, "pairs": 6, "overall": compared(psnr, 0.75, 0.5),
        "by_kernel_size": {"13": compared(psnr + 1, 0.8, 0.6), "27": compared(psnr - 1, 0.7, 0.4)},
        "sharp_in": sharp_in and scores(sharp_in, 0.99, 1.0), "versions": VERSIONS,
    }  # fmt: skip


def by_kind(turning, noise):
    kinds = {"turning": "the camera turns", "noise": "noise of 0.05"}
    return {
        "of": {"data": DATA, "protocol": {"kinds": kinds, "pairs": {"count": 20}}}, "versions": VERSIONS,
        "by_kind": {"turning": compared(turning, 0.8, 0.6), "noise": compared(noise, 0.7, 0.4)},
    }  # fmt: skip


CONTENT = {
    "command": "python -m deblur_zoo.evaluation.results --faces dev",
    "rows": {
        "good": {
            "restoration": restoration(26, 51.25),
            "speed": {
                "of": {"machine": "Linux, x86_64, 2 processors", "backend": "tensorflow"},
                "milliseconds_a_face": {"1": 31.25, "16": 20.0},
            },
            "camera": by_kind(23, 21.5),
            "second_pass": by_kind(23.5, 21.25),
            "groups": {
                "of": {
                    "data": {"folder": "aside", "fingerprint": "cd" * 32, "faces": 7},
                    "faces_by_group": {"asian": 3, "black": 4},
                    "bootstrap": {
                        "over": "faces", "method": "BCa", "confidence": 0.95, "resamples": 9999, "seed": 0,
                    },
                },
                "gain_db": {
                    "asian": {"faces": 3, "mean": 4.5, "low": 4.25, "high": 4.75, "made_worse": 0.0},
                    "black": {"faces": 4, "mean": 4.8, "low": 4.5, "high": 5.125, "made_worse": 0.5},
                },
            },
        },
        "unsharp_mask": {"restoration": restoration(21.25, None, constants={"radius": 12, "amount": 0.25})},
        "wiener": {"restoration": restoration(24, None, constants={"balance": 0.1})},
    },
}  # fmt: skip
ENTRY = {
    "kind": "deblurrer", "parameters": 1_068_131, "gmac_128": 0.942, "weights_sha256": "12", "weights_bytes": 2_600_000,
    "training": {"steps": 12750, "faces": 204000, "hours": 1.97, "device": "2 CPU cores"}, "measured": {},
}  # fmt: skip
BARE = {**ENTRY, "weights_sha256": None, "weights_bytes": None, "training": None, "measured": None}
INDEX = {
    "bare": BARE,
    "good": ENTRY,
    "later": ENTRY,
    "parser": {**ENTRY, "kind": "parser", "measured": {"mean_f_score": 0.8437, "faces": 14}},
}
ROWS = """\
| preset | parameters | multiply-adds at 128x128 | weights | trained | PSNR, dB (worst) | gain, dB (made worse) | \
SSIM (worst) | identity cosine (blurred) | sharp in, sharp out, dB | colour shift, % | ms a face, batch 1 | batch 16 |
| `bare` | 1.07 M | 0.94 G | no weights | not trained |  |  |  |  |  |  |  |  |
| `good` | 1.07 M | 0.94 G | 2.6 MB | 12,750 steps, 1.97 h on 2 CPU cores | 26.00 (21.00) | +5.00 (0.4 %) | 0.750 \
(0.500) | 0.500 (0.250) | 51.2 | 0.06 | 31.2 | 20.0 |
| `later` | 1.07 M | 0.94 G | 2.6 MB | 12,750 steps, 1.97 h on 2 CPU cores | not measured | not measured | not \
measured | not measured | not measured | not measured | not measured | not measured |
|  | 13 | 27 | all |
| PSNR of the blurred input | 21.00 | 21.00 | 21.00 |
| `good` | +6.00 (0.4 %) | +4.00 (0.4 %) | +5.00 (0.4 %) |
| unsharp mask | +1.25 (0.4 %) | -0.75 (25 %) | +0.25 (25 %) |
| Wiener, oracle: knows the kernel | +4.00 (0.4 %) | +2.00 (0.4 %) | +3.00 (0.4 %) |
|  | 13 | 27 | all |
| blurred input | 0.500 | 0.500 | 0.500 |
| `good` | 0.800 | 0.700 | 0.750 |
| unsharp mask | 0.800 | 0.700 | 0.750 |
| Wiener, oracle: knows the kernel | 0.800 | 0.700 | 0.750 |
|  | PSNR blurred, dB | `good` |
| the camera turns | 21.00 | +2.00 (0.4 %) |
| noise of 0.05 | 21.00 | +0.50 (25 %) |
|  | `good` |
| the camera turns | +0.50 (0.4 %) |
| noise of 0.05 | -0.25 (25 %) |
|  | PSNR, dB (worst) | gain, dB (made worse) | SSIM (worst) | identity cosine | constants |
| the blurred input | 21.00 (16.00) |  | 0.500 (0.250) | 0.250 |  |
| unsharp mask | 21.25 (16.25) | +0.25 (25 %) | 0.750 (0.500) | 0.500 | radius 12, amount 0.25 |
| Wiener, oracle: knows the kernel | 24.00 (19.00) | +3.00 (0.4 %) | 0.750 (0.500) | 0.500 | balance 0.1 |
|  | asian (3) | black (4) |
| `good` | +4.50 [4.25, 4.75] (0.0 %) | +4.80 [4.50, 5.12] (50 %) |
| preset | parameters | multiply-adds at 128x128 | weights | trained | mean F-score (faces) |
| `parser` | 1.07 M | 0.94 G | 2.6 MB | 12,750 steps, 1.97 h on 2 CPU cores | 0.844 (14) |
"""


def test_every_row_of_every_table():
    lines = markdown(CONTENT, INDEX).splitlines()
    assert [line for line in lines if line.startswith("|") and "---" not in line] == ROWS.splitlines()


@pytest.mark.parametrize(
    "values",
    [
        ("3 aligned faces", "`dev`", "`abababababababab`", "1 of the 80 trajectory", "(13 to 27 pixels): 6 pairs"),
        ("true convolution, border mirrored", "sigma 0.01", "8-bit"),
        ("Linux, x86_64, 2 processors", "tensorflow, float32"),
        ("`camera`", "20 pairs"),
        ("python -m deblur_zoo.evaluation.baselines --faces celeba_train --limit 8",),
        ("7 faces", "`aside`", "`cdcdcdcdcdcdcdcd`", "95 %", "over faces (BCa, 9,999 resamples, seed 0)"),
        ("`good`: all intervals overlap", "+4.50", "+4.75"),
        ("    python -m deblur_zoo.evaluation.results --faces dev\n", "backend tensorflow, keras 3.15.1"),
    ],
)
def test_numbers_in_sentences(values):
    text = markdown(CONTENT, INDEX)
    for value in values:
        assert value in text


def test_what_was_not_measured_is_not_there():
    content = copy.deepcopy(CONTENT)
    content["rows"] = {"good": {"restoration": content["rows"]["good"]["restoration"]}}
    for part in ("blurred", "restored"):
        content["rows"]["good"]["restoration"]["overall"][part]["identity_cosine"] = None
    text = markdown(content, {"good": ENTRY})
    assert "| 0.750 (0.500) | not measured | 51.2 | 0.06 | not measured | not measured |" in text
    for heading in ("## Classical", "## By ethnic group", "## Parsers"):
        assert heading not in text


def test_different_versions_are_all_named():
    content = copy.deepcopy(CONTENT)
    content["rows"]["wiener"]["restoration"]["versions"] = {"keras": "3.10.0", "backend": "tensorflow"}
    text = markdown(content, INDEX)
    assert "keras 3.10.0" in text and "keras 3.15.1" in text


@pytest.mark.parametrize("rows", [{}, {"bare": {}}])
def test_nothing_measured_at_all(rows):
    text = markdown({"command": "c", "rows": rows}, {"bare": BARE})
    assert "| `bare` | 1.07 M | 0.94 G | no weights |" in text and "## By kernel size" not in text
