"""The table of a second pass, by hand."""

import dataclasses
import types

import numpy as np
import pandas as pd
import pytest

from deblur_zoo.evaluation.methods import BLURRED_INPUT, Method
from deblur_zoo.evaluation.runs import Result
from deblur_zoo.evaluation.second_pass import by_second_pass

CAMERA = types.SimpleNamespace(name="camera")


def result(name, psnr):
    """Three faces with two kinds of blur."""
    groups = np.repeat(["real_motion", "noise"], 3)
    faces = list("abcabc")
    return Result(
        Method(name, None, {}), CAMERA,
        pd.DataFrame({"pair": groups + np.array(faces, dtype=object), "face": faces, "group": groups, "psnr": psnr}),
    )  # fmt: skip


def test_gains_by_hand():
    blurred = result(BLURRED_INPUT, [20.0] * 6)
    once = result("a", [21, 22, 23, 20, 20.5, 19])
    # The other order of pictures: pairs are found by name.
    twice = result("a, 2 passes", [23, 24, 25, 19, 21, 18])
    twice = dataclasses.replace(twice, pictures=twice.pictures.iloc[::-1])
    table = by_second_pass(blurred, [once], [twice])
    rows = {row["group"]: row for row in table.numbers.to_dict("records")}
    moving, noise, everything = rows["real_motion"], rows["noise"], rows["all"]
    assert (moving["gain, 1 pass"], moving["gain, 2 passes"], moving["second pass better"]) == (2, 4, 1)
    assert [moving[f"difference {end}"] for end in ("mean", "low", "high")] == [2, 2, 2]
    assert noise["gain, 1 pass"] == pytest.approx(-0.5 / 3) and noise["gain, 2 passes"] == pytest.approx(-2 / 3)
    assert noise["made worse, 1 pass"] == pytest.approx(1 / 3) and noise["made worse, 2 passes"] == pytest.approx(2 / 3)
    assert noise["second pass better"] == pytest.approx(1 / 3)
    assert everything["difference mean"] == pytest.approx((2 + 2 + 2 - 1 + 0.5 - 1) / 6)
    cells = {row["blur"]: row["a"] for row in table.cells().to_dict("records")}
    assert cells["real motion"] == "+2.00 (0.0 %), +4.00 (0.0 %) *" and cells["noise"] == "-0.17 (33 %), -0.67 (67 %)"
    other = dataclasses.replace(twice, pictures=twice.pictures.iloc[1:])
    with pytest.raises(ValueError, match="same pictures"):
        by_second_pass(blurred, [once], [other])
