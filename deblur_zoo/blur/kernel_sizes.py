"""Kernel sizes as they are written at a command line."""


def parse_sizes(text):
    """'8-20,21-29:2' -> (8, 9, ..., 20, 21, 23, ..., 29). Raises ValueError on anything else."""
    sizes = []
    for part in text.split(","):
        limits, _, step = part.partition(":")
        first, dash, last = limits.partition("-")
        numbers = [first] + [last] * bool(dash) + [step] * (":" in part)
        if not all(number.strip().isdigit() for number in numbers) or (":" in part and (not dash or int(step) == 0)):
            raise ValueError(
                f"Kernel sizes must be numbers and ranges such as 13-27:2, separated by commas, got {text!r}."
            )
        sizes += range(int(first), int(last if dash else first) + 1, int(step or 1))
    if not sizes:
        raise ValueError(f"The sizes {text!r} contain no numbers.")
    return tuple(sizes)
