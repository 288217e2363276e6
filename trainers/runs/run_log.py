"""``log.tsv`` of a run: a line for each measurement, fields as name=value."""

from trainers.runs.checkpoint import whole_file, writing


def append_row(path, row):
    """Append a line.

    Args:
        path: the file; created if missing.
        row: dict from name to value.

    Raises:
        CannotWrite: for example on a full disk.
    """
    with writing(path), open(path, "a", encoding="utf-8") as log:
        log.write("\t".join(f"{name}={value}" for name, value in row.items()) + "\n")


def read_rows(path):
    """The lines as dicts of strings, without a truncated last one; an empty list if the file does not exist."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [dict(field.partition("=")[::2] for field in line.split("\t")) for line in lines]


def forget_after(path, step):
    """Remove the lines after the step from which a run resumes.

    Raises:
        CannotWrite: for example on a full disk.
    """
    rows = read_rows(path)
    kept = [row for row in rows if int(row["step"]) <= step]
    if path.is_file():
        with whole_file(path) as temporary:
            lines = ["\t".join(f"{name}={value}" for name, value in row.items()) + "\n" for row in kept]
            temporary.write_text("".join(lines), encoding="utf-8")
