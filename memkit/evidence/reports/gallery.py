"""Pictures of a page: in it as long as the page stays small, and beside it, linked, beyond that."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from markupsafe import Markup

from memkit.files import encoded, write_whole

LIMIT = 4_800_000
"""The most bytes of a page with its pictures. Everything but pictures is always in the page."""


@dataclass
class Gallery:
    """Takes the pictures of studies while a page is made, and puts them into it when it is.

    Attributes:
        folder: where pictures beside the page go, relative to it; None: all are in the page, however large it gets.
        limit: bytes of the page.
        beside: once the page was filled, the pictures that found no room: name of the file → SVG.
    """

    folder: str | None = None
    limit: int = LIMIT
    beside: dict[str, str] = field(default_factory=dict)
    _hung: list[tuple[str, str]] = field(default_factory=list)

    def hang(self, name: str, svg: str) -> Markup:
        """Return a place for a picture: a comment, until the page is filled.

        Args:
            name: of what it shows, for its file: a claim's id, say.
        """
        self._hung.append((name, svg))
        return Markup(f"<!--picture {len(self._hung) - 1}-->")

    def fill(self, page: str) -> str:
        """Return the page with its pictures: in it while there is room, else links to files."""
        room = self.limit - len(encoded(page))
        for number, (name, svg) in enumerate(self._hung):
            size = len(encoded(svg))
            if self.folder is not None and size > room:
                file = f"{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')[:120]}-{number}.svg"
                self.beside[file] = svg
                self._hung[number] = (name, f'<p><a href="{self.folder}/{file}">In a file of its own</a></p>')
            else:
                room -= size
        # Texts from a claim are escaped, so none of them can be such a comment.
        return re.sub(r"<!--picture (\d+)-->", lambda found: self._hung[int(found[1])][1], page)


def save(text: str, gallery: Gallery, page: Path) -> None:
    """Write a page, and beside it what found no room in it; remove what an earlier page left there.

    Raises:
        OSError: it cannot be written.
    """
    folder = page.parent / (gallery.folder or "")
    for name, svg in gallery.beside.items():
        write_whole(folder / name, svg)
    write_whole(page, text)
    # This comes last: until the new page is written, the earlier one shows them.
    for old in folder.glob("*.svg") if gallery.folder else ():
        if old.name not in gallery.beside:
            old.unlink()


def beside(page: Path) -> Gallery:
    """Return the gallery of a page that may have a folder of pictures: ``evidence-figures`` for ``evidence.html``."""
    return Gallery(folder=f"{page.stem}-figures")
