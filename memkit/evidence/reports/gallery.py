"""The pictures of a page: inside the page while it is small enough, otherwise in files beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from markupsafe import Markup

from memkit.files import encoded, write_whole

LIMIT = 4_800_000
"""The largest size of a page with its pictures, in bytes. Everything except pictures is always in the page."""


@dataclass
class Gallery:
    """A collector of the pictures of a page: the page gets placeholders, which :meth:`fill` replaces.

    Attributes:
        folder: the folder for pictures that do not fit into the page, relative to the page; None: all pictures are in
            the page, however large it becomes.
        limit: the largest size of the page, in bytes.
        separate_files: after :meth:`fill`, the pictures that did not fit into the page: file name → SVG.
    """

    folder: str | None = None
    limit: int = LIMIT
    separate_files: dict[str, str] = field(default_factory=dict)
    _pictures: list[tuple[str, str]] = field(default_factory=list)

    def add(self, name: str, svg: str) -> Markup:
        """Add a picture and return its placeholder, an HTML comment.

        Args:
            name: what the picture shows, such as a claim's id; its file is named after it.
            svg: the picture.
        """
        self._pictures.append((name, svg))
        return Markup(f"<!--picture {len(self._pictures) - 1}-->")

    def fill(self, page: str) -> str:
        """Return the page with pictures for placeholders, or with links to files once the page is full."""
        room = self.limit - len(encoded(page))
        for number, (name, svg) in enumerate(self._pictures):
            size = len(encoded(svg))
            if self.folder is not None and size > room:
                file = f"{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')[:120]}-{number}.svg"
                self.separate_files[file] = svg
                self._pictures[number] = (name, f'<p><a href="{self.folder}/{file}">Picture in a separate file</a></p>')
            else:
                room -= size
        # The texts of a claim are escaped, so none of them can look like a placeholder.
        return re.sub(r"<!--picture (\d+)-->", lambda match: self._pictures[int(match[1])][1], page)


def save_page(text: str, gallery: Gallery, page: Path) -> None:
    """Write a page and the pictures beside it, and remove the pictures of an earlier page.

    Raises:
        OSError: a file cannot be written.
    """
    folder = page.parent / (gallery.folder or "")
    for name, svg in gallery.separate_files.items():
        write_whole(folder / name, svg)
    write_whole(page, text)
    # Old pictures are removed last, because the earlier page links to them until the new one is written.
    for old in folder.glob("*.svg") if gallery.folder else ():
        if old.name not in gallery.separate_files:
            old.unlink()


def gallery_for(page: Path) -> Gallery:
    """Return the gallery of a page that may have a folder of pictures: ``evidence-figures`` for ``evidence.html``."""
    return Gallery(folder=f"{page.stem}-figures")
