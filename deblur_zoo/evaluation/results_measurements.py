"""Measurements for docs/results.json; those of an earlier file are kept if they are still valid."""

import json
from functools import cached_property

from deblur_zoo import zoo
from deblur_zoo.evaluation import table
from deblur_zoo.evaluation.baselines import BASELINES
from deblur_zoo.evaluation.groups import gains_by_group
from deblur_zoo.files.atomic_file import atomic_path
from deblur_zoo.files.pictures import repeated
from deblur_zoo.zoo import presets

FORMAT_VERSION = 1


class Rows:
    """The rows of results.json: valid measurements are kept, the rest is measured.

    A row has parts ("restoration", "speed", "groups"), and a part's "of" records its inputs: weights, data, protocol
    and the like. A part is kept if its inputs are the requested ones.

    Args:
        earlier: rows of an earlier file.
        again: measure everything again.
        save: function called with all rows, old and new, after each measurement.

    Attributes:
        current: the parts kept or measured by this run, for the document.
        all: ``current``, and the parts of the earlier file that this run did not request.
    """

    def __init__(self, earlier, again=False, save=lambda rows: None):
        self.current, self.all = {}, earlier
        self._again, self._save = again, save

    def part(self, row, part, of, measure=None):
        """Keep a part, or measure it.

        Args:
            row, part: names.
            of: dict of its inputs, in the form that JSON returns.
            measure: function that returns the part's numbers, a dict; None only keeps a valid part.
        """
        kept = self.all.get(row, {}).get(part)
        true = isinstance(kept, dict) and kept.get("of") == of
        if measure and (self._again or not true):
            kept = {"of": of, **measure()}
            self.all.setdefault(row, {})[part] = kept
            self._save(self.all)
        elif not true:
            return
        self.current.setdefault(row, {})[part] = kept


def read(path):
    """Rows of an earlier results.json; none if the file does not exist.

    Raises:
        ValueError: the file is not a results.json.
    """
    if not path.is_file():
        return {}
    content = presets.read_json(path)
    presets.check_format_version(content, path)
    rows = content.get("rows")
    if not isinstance(rows, dict) or not all(isinstance(row, dict) for row in rows.values()):
        raise ValueError(f"{path} is not a results.json, as it has no 'rows'; choose another --out or remove it")
    return rows


def write(path, content):
    """Write results.json atomically."""
    text = json.dumps({"format_version": FORMAT_VERSION, **content}, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


class PresetMeasures:
    """Measures of one preset, whose model is loaded on first use.

    Args:
        name: the preset's.
        embed: identity network, or None.
        progress: show progress bars.
    """

    def __init__(self, name, embed=None, progress=True):
        self.name, self._embed, self._progress = name, embed, progress

    @cached_property
    def _model(self):
        return zoo.load(self.name, kind="deblurrer")

    def restoration(self, faces, protocol):
        """Summary of a measurement as ``table.summary`` gives it, with versions."""
        from deblur_zoo.evaluation.measurement import evaluate

        measurement = evaluate(
            self._model.run, faces.faces, protocol, identity_network=self._embed, progress=self._progress
        )
        return summary(measurement)

    def camera(self, faces, protocol, passes=1):
        """By kind of blur, as from ``table.summary``, with one or more passes."""
        from deblur_zoo.evaluation.measurement import evaluate

        restored = repeated(self._model.run, passes)
        measurement = evaluate(restored, faces.faces, protocol, sharp_in=False, progress=self._progress)
        found = table.summary(measurement)
        return {name: found[name] for name in ("pairs", "overall", "by_kind")} | {"versions": table.versions()}

    def speed(self):
        """Milliseconds per face by batch size."""
        from deblur_zoo.evaluation import speed

        times = {str(size): speed.milliseconds_a_face(self._model, size) for size in speed.BATCH_SIZES}
        return {"milliseconds_a_face": times}

    def groups(self, faces, groups, protocol):
        """Gains by group; see ``groups.gains_by_group``."""
        from deblur_zoo.evaluation.measurement import evaluate

        measurement = evaluate(self._model.run, faces.faces, protocol, sharp_in=False, progress=self._progress)
        return {"gain_db": gains_by_group(measurement, groups)}


def baseline_restoration(name, faces, protocol, embed=None, progress=True):
    """As ``PresetMeasures.restoration``, for a classical method."""
    from deblur_zoo.evaluation.measurement import evaluate

    baseline = BASELINES[name]
    measurement = evaluate(
        baseline,
        faces.faces,
        protocol,
        identity_network=embed,
        sharp_in=False,
        progress=progress,
        knows_kernels=baseline.oracle,
    )
    return summary(measurement)


def summary(measurement):
    """``table.summary`` without the parts already in "of", and with versions."""
    found = table.summary(measurement)
    wanted = ("pairs", "overall", "by_kernel_size", "sharp_in")
    return {**{name: found[name] for name in wanted}, "versions": table.versions()}
