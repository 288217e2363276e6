"""Rewrite the model cards of published presets, for example after a change of their text, without measuring.

    python -m trainers.publishing.cards
    python -m trainers.publishing.cards --presets one_step_lite,umsn_lite

A card is rendered from the preset's config.json, training.json and metrics.json and its row of index.json.
"""

from absl import flags

from deblur_zoo.files import command_line_tools
from deblur_zoo.files.atomic_file import atomic_path
from deblur_zoo.files.command_line_tools import UsageError


def cards(arguments):
    """Check the flags, render all cards, then write them. Returns the exit code."""
    command_line_tools.require_flags(arguments)
    try:
        # Heavy imports after the flags have been checked.
        from trainers.publishing.model_card import make_card, published

        entries = published()
        for name in flags.FLAGS.presets:
            if name not in entries:
                raise UsageError(f"unknown published preset {name!r}; accepted: {', '.join(entries)}")
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
    command_line_tools.run(cards, "trainers.publishing.cards")


if __name__ == "__main__":
    main()
