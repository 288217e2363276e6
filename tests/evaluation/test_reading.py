"""Which method for what, where each fails, and the published numbers: by hand."""

import numpy as np
import pandas as pd
import pytest

from deblur_zoo.evaluation import reading
from deblur_zoo.evaluation.methods import BLURRED_INPUT, SHARP_INPUT, Method, inputs


def rows(method, psnr, protocol="camera", group="jpeg", **columns):
    """One picture of each of three faces."""
    names = [f"{protocol}{group}{i}" for i in range(3)]
    return pd.DataFrame(
        {"protocol": protocol, "method": method, "pair": names, "face": list("abc"), "group": group,
         "psnr": np.array(psnr, float), **columns}
    )  # fmt: skip


def test_best_for_by_hand():
    """a leads by 1 dB on the photos; b on faces in motion, and it leaves sharp faces alone; the oracle wins all."""
    frame = pd.concat([
        *(rows(name, psnr) for name, psnr in {BLURRED_INPUT: [20] * 3, "a": [24, 25, 26], "b": [23, 24, 25],
                                               SHARP_INPUT: [60] * 3, "oracle": [40] * 3}.items()),
        *(rows(name, psnr, group="real_motion") for name, psnr in {"a": [22] * 3, "b": [21, 22, 24.5]}.items()),
        *(rows(name, psnr, "sharp_in", "sharp") for name, psnr in {"a": [40] * 3, "b": [50] * 3}.items()),
    ])  # fmt: skip
    methods = [
        *inputs(), Method("a", None, {}, 2_000_000), Method("b", None, {}, 1_000_000),
        Method("oracle", None, {}, oracle=True),
    ]  # fmt: skip
    table = reading.best_for(frame, methods, {"a": {1: 10.0, 16: 5.0}, "b": {1: 20.0}})
    found = {row["for"]: row for row in table.numbers.to_dict("records")}
    overall = found["camera: PSNR, dB"]
    # a: (24 + 25 + 26 + 3 * 22) / 6; b: (23 + 24 + 25 + 21 + 22 + 24.5) / 6. Faces: 0.5 (1 + 1), (1 + 0), (1 - 2.5).
    assert overall["best"] == "a" and overall["value"].startswith("23.50 [") and overall["next"] == "b: 23.25"
    assert overall["lead"].startswith("+0.25 [-0.75, ") and not overall["lead"].endswith("*")
    moving = found["camera, real motion: PSNR, dB"]
    assert moving["best"] == "b" and moving["lead"].startswith("+0.50 [")
    sharp = found["leave sharp faces as they are: PSNR, dB"]
    assert (sharp["best"], sharp["lead"]) == ("b", "+10.00 [+10.00, +10.00] *")
    assert found["fewest parameters"]["best"] == "b" and found["fewest parameters"]["next"] == "a: 2.00 M"
    assert found["least time for one face"]["value"] == "10.00 ms"
    assert reading.best_for(frame, methods[:3], {}) is None
    # Faces count once: a has (30 + 10) / 2 = 20, b 21, although a has the higher mean over pictures.
    uneven = pd.concat([rows("a", [30, 30, 10]), rows("b", [27, 27, 15])]).assign(face=["f", "f", "g"] * 2)
    (row,) = reading.best_for(uneven, methods[2:4], {}).numbers.to_dict("records")[:1]
    assert (row["best"], row["next"]) == ("b", "a: 20.00") and row["value"].startswith("21.00 [")


def test_where_a_method_gains_and_fails_by_hand():
    frame = pd.DataFrame(
        {
            "method": "a", "protocol": ["camera"] * 4 + ["sharp_in"], "group": ["jpeg", "jpeg", "noise", "noise", "x"],
            "gain": [1.0, 2.0, -1.0, 0.5, -9], "made_worse": [0, 0, 1, 0, 1],
        }
    )  # fmt: skip
    (row,) = reading.weak_points(frame).numbers.to_dict("records")
    assert row["most gain"] == "camera, jpeg: +1.50 dB (0.0 %)"
    assert row["least gain"] == row["most made worse"] == "camera, noise: -0.25 dB (50 %)"
    (row,) = reading.weak_points(frame.assign(made_worse=0)).numbers.to_dict("records")
    assert row["most made worse"] == "none"
    assert reading.weak_points(frame[frame["group"] == "jpeg"]) is None


def test_published_numbers_stand_beside_ours():
    frame = pd.concat([rows("a", [26, 27, 28], "shen", ssim_volume=[0.8, 0.9, 1.0]),
                       rows(BLURRED_INPUT, [20] * 3, "shen", ssim_volume=0.5),
                       rows("a", [10] * 3, ssim_volume=0.1)])  # fmt: skip
    table = reading.published(frame).numbers
    assert table[table["source"] != "this report"].shape[0] == len(reading.PUBLISHED)
    (ours,) = table[table["source"] == "this report"].to_dict("records")
    assert (ours["method"], ours["PSNR, dB"], ours["measured on"]) == ("a", 27, "3 faces of ours")
    assert ours["SSIM"] == pytest.approx(0.9) and ours["pictures"].startswith("shen: all 80 kernels")
    assert reading.published(frame[frame["protocol"] == "camera"]) is None
