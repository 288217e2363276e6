"""Rewrite the model cards of published presets, after the card's text was changed; nothing is measured.

    python -m trainers.publishing.cards
    python -m trainers.publishing.cards --presets one_step_lite,umsn_lite

A card is rendered from the preset's config.json, training.json and metrics.json and its row of index.json.
"""

from pathlib import Path

from absl import flags

from deblur_zoo import zoo
from deblur_zoo.files import command_line_tools
from deblur_zoo.files.atomic_file import atomic_path
from deblur_zoo.files.command_line_tools import UsageError
from deblur_zoo.zoo import presets


def published():
    """Names of the presets that have weights."""
    index = presets.read_json(zoo.hub_folder() / "index.json")["presets"]
    return {name: entry for name, entry in index.items() if entry["weights_sha256"]}


def make_card(name, entry):
    """Render a published preset's card.

    Args:
        name: the preset's.
        entry: its row of ``index.json``.

    Returns:
        (path of the card, its text).

    Raises:
        ValueError: a missing, damaged or unsuitable file.
    """
    from trainers.publishing.measures import measure_of
    from trainers.publishing.model_card import card

    folder = Path(zoo.hub_folder(), name)
    try:
        config, training = presets.read_config(folder), presets.read_json(folder / "training.json")
        return folder / "README.md", card(config, entry, training, measure_of(config["kind"]).table(folder))
    except KeyError as error:
        raise ValueError(f"the card of {name} needs {error}, which its files do not have") from None


def cards(arguments):
    """Check the flags, render all cards, then write them. Returns the exit code."""
    command_line_tools.require_flags(arguments)
    entries = published()
    for name in flags.FLAGS.presets:
        if name not in entries:
            raise UsageError(f"unknown published preset {name!r}; accepted: {', '.join(entries)}")
    try:
        made = [make_card(name, entries[name]) for name in flags.FLAGS.presets or entries]
    except ModuleNotFoundError as error:
        raise UsageError(f"{error.name} is not installed: pip install 'deblur-zoo[eval]'") from None
    except ValueError as error:
        raise UsageError(str(error)) from None
    for path, text in made:
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
        print(path)
    return 0


def main():
    flags.DEFINE_list("presets", [], "names of presets, separated by commas; default: all that have weights")
    command_line_tools.run(cards, "python -m trainers.publishing.cards")


if __name__ == "__main__":
    main()
