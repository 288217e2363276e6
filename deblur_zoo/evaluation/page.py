"""Pages from the templates of this package."""

from importlib import resources


def render(template, **values):
    """A page from a template, with all values escaped.

    Args:
        template: name of a file in ``templates``.
        values: what the template shows.

    Returns:
        str.
    """
    import jinja2

    folder = resources.files("deblur_zoo.evaluation") / "templates"
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string((folder / template).read_text(encoding="utf-8")).render(**values)
