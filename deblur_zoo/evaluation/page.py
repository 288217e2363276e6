"""Pages from the templates of this package."""

import re
from importlib import resources

import jinja2
import markupsafe


def render(template, **values):
    """A page from a template, with all values escaped. The filter ``marked`` makes code of what is in backticks.

    Args:
        template: name of a file in ``templates``.
        values: what the template shows.

    Returns:
        str.
    """

    def marked(text):
        return markupsafe.Markup(re.sub("`([^`]*)`", r"<code>\1</code>", str(markupsafe.escape(text))))

    folder = resources.files("deblur_zoo.evaluation") / "templates"
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["marked"] = marked
    return environment.from_string((folder / template).read_text(encoding="utf-8")).render(**values)
