"""What MkDocs does not do by itself: files beside docs/ that pages link to, and the README as the first page."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Folders and files beside docs/ that become part of the site when a page links to them.
OUTSIDE = re.compile(r"\]\((\.\./)*((?:examples|hub_models)/[\w./-]+|CONTRIBUTING\.md|LICENSE|CHANGELOG\.md)\)")


def on_files(files, config):
    """Add the README and every file that pages link to outside docs/."""
    from mkdocs.structure.files import File

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pages = [readme, *(path.read_text(encoding="utf-8") for path in sorted(Path(config.docs_dir).rglob("*.md")))]
    # From the README, docs/ is where the site begins.
    files.append(File.generated(config, "index.md", content=re.sub(r"\((docs/)", "(", readme)))
    linked = {match[2] for page in pages for match in OUTSIDE.finditer(page)}
    for name in sorted(linked):
        if (ROOT / name).is_file():
            content = (ROOT / name).read_bytes()
            if name.endswith(".md"):
                # Its links begin at the project's root.
                content = re.sub(r"\((docs/)", "(../", content.decode("utf-8"))
            files.append(File.generated(config, f"files/{name}", content=content))
    return files


def on_page_markdown(markdown, page, config, files):
    """Turn links to files outside docs/ into links to their copies in the site."""
    up = "../" * page.file.src_uri.count("/")
    return OUTSIDE.sub(lambda match: f"]({up}files/{match[2]})", markdown)
