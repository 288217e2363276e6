"""``log.tsv`` of a run: a line for each measurement, fields as name=value."""

from trainers.runs.checkpoint import whole_file, writing


def append_row(path, row):
    """Write one more line.

    Args:
        path: the file; made where there is none.
        row: dict from name to value.

    Raises:
        CannotWrite: the disk is full, say.
    """
    with writing(path), open(path, "a", encoding="utf-8") as log:
        log.write("\t".join(f"{name}={value}" for name, value in row.items()) + "\n")


def read_rows(path):
    """The lines as dicts of strings; a last line that was cut off is left out. No file: no lines."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [dict(field.partition("=")[::2] for field in line.split("\t")) for line in lines]


def forget_after(path, step):
    """Take out the lines of steps that a run takes again, since it goes on from an earlier checkpoint.

    Raises:
        CannotWrite: the disk is full, say.
    """
    rows = read_rows(path)
    kept = [row for row in rows if int(row["step"]) <= step]
    if path.is_file():
        with whole_file(path) as temporary:
            lines = ["\t".join(f"{name}={value}" for name, value in row.items()) + "\n" for row in kept]
            temporary.write_text("".join(lines), encoding="utf-8")
