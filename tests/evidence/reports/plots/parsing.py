"""Parses plots, and checks that they are well-formed and self-contained and have a title and a text alternative."""

from __future__ import annotations

from xml.etree import ElementTree

SVG = "{http://www.w3.org/2000/svg}"


def parsed(svg: str) -> ElementTree.Element:
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    assert [child.tag for child in root][:2] == [f"{SVG}title", f"{SVG}desc"]
    for element in root.iter():
        assert element.tag.removeprefix(SVG) in {
            "svg", "title", "desc", "line", "rect", "circle", "path", "text", "g",
        }  # fmt: skip
        for value in element.attrib.values():
            assert "nan" not in value
            assert "inf" not in value
            assert "url(" not in value
    return root


def all_text(root: ElementTree.Element) -> str:
    return "\n".join(element.text or "" for element in root.iter())


def texts(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]
