"""Measure presets and other methods on test sets, and report: what ``deblur-zoo-eval`` does."""

from collections.abc import Sequence
from pathlib import Path

from deblur_zoo.evaluation import groups, presets
from deblur_zoo.evaluation.faces import Faces
from deblur_zoo.evaluation.methods import BLURRED_INPUT, Method, open_method
from deblur_zoo.evaluation.protocols import TestSet, make_test_set
from deblur_zoo.evaluation.report import Report, make_report
from deblur_zoo.evaluation.report_measures import Chosen
from deblur_zoo.evaluation.runs import run_all
from deblur_zoo.evaluation.second_pass import by_second_pass
from deblur_zoo.evaluation.speed import BATCH_SIZES, milliseconds_a_face
from deblur_zoo.evaluation.verification import read_list, verify
from deblur_zoo.files.command_line_tools import working

# Arguments of Chosen, beside those that compare derives from its own.
MEASURES = ("identity_network", "gallery", "labels", "parser", "detection", "landmarks", "vgg_face")


def compare(
    sources: Sequence[str],
    test_sets: Sequence[TestSet],
    out: Path,
    measures: dict | None = None,
    passes: int = 1,
    batch_size: int = 16,
    verification: str | None = None,
    groups_faces: str | None = None,
    group_pattern: str | None = None,
    second_pass: bool = False,
    speed: bool = False,
    contact_sheets: bool = True,
    document: bool = False,
    command: str = "",
) -> Report:
    """Measure every method on every test set and report the results.

    Args:
        sources: what to compare, each as for ``methods.open_method``.
        test_sets: from ``protocols.make_test_set``.
        out: folder; measurements are kept in its ``measured`` and reused, contact sheets go to its ``sheets``.
        measures: keyword arguments of ``Chosen``, some of ``MEASURES``.
        passes: how many times each face goes through a model.
        batch_size: faces per forward pass.
        verification: a list of pairs of the first test set's faces in LFW's format, for ten-fold verification.
        groups_faces: folder of more crops whose names contain people's groups, for their gains.
        group_pattern: regular expression of such a name without its ending, with a part ``(?P<group>...)``; required
            with ``groups_faces``.
        second_pass: also measure what a second pass gains or costs on the test set ``camera``.
        speed: also measure times.
        contact_sheets: also make contact sheets.
        document: give the report docs/results.md's title, introduction and table of presets.
        command: the command line, for the report.

    Raises:
        ValueError: see ``open_method``, ``Chosen``, ``runs.run_all`` and ``verification.read_list``.
    """
    listed = read_list(verification) if verification else None
    people = Faces(groups_faces) if groups_faces else None
    group_of = people and dict(zip(people.names, groups.groups_of(people.stems, group_pattern), strict=True))
    chosen = Chosen(**(measures or {}), verification=verification, speed=speed)
    with working("loading presets"):
        methods = [open_method(source, passes) for source in sources]
    models = [method for method in methods if method.model]
    quality, kept, pairs = chosen.measures[:1], out / "measured", None
    results = run_all(methods, test_sets, chosen.measures, kept, batch_size, progress=True)
    if listed:
        pairs = verify(methods, test_sets[0], listed, chosen.identity, kept, batch_size, progress=True)
    times = _times(models) if speed else {}
    more = []
    if second_pass:
        again = [open_method(source, 2) for source, method in zip(sources, methods, strict=True) if method.model]
        of_camera = {result.method.name: result for result in results if result.test_set.name == "camera"}
        blurred, once = of_camera[BLURRED_INPUT], [of_camera[method.name] for method in models]
        kept_twice = kept / "second_pass"
        twice = run_all(again, [blurred.test_set], quality, kept_twice, batch_size, progress=True, beside=())
        more.append(by_second_pass(blurred, once, twice))
    if people:
        test_set = make_test_set("kernel_sizes", people)
        of_people = run_all(models, [test_set], quality, kept / "groups", batch_size, progress=True)
        more.append(groups.by_group_of_people(of_people, group_of))
    sheets = out / "sheets" if contact_sheets else None
    report = make_report(results, chosen.missing, chosen.gallery_note(test_sets), pairs, times, sheets, command, more)
    if document:
        report.title = "Results"
        report.about.insert(
            0, "docs/evaluation.md defines the numbers; the .json file beside this one has all of them."
        )
        report.tables.insert(0, presets.presets_table())
    return report


def _times(models: list[Method]) -> dict[str, dict[int, float]]:
    with working("measuring times"):
        return {
            method.name: {size: milliseconds_a_face(method.model, size) for size in BATCH_SIZES} for method in models
        }
