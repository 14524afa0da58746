"""Pictures in the page, and in files beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from memkit.evidence.figures import Heatmap
from memkit.evidence.reports import render_html
from memkit.evidence.reports.gallery import Gallery, gallery_for, save_page
from memkit.evidence.reports.plots.heatmap import heatmap_svg

from . import samples


def test_a_full_page_links_its_pictures(tmp_path: Path) -> None:
    figures = tuple(Heatmap(f"Map {k}", ("a",), ("b",), ((k / 10,),)) for k in range(3))
    evidence = samples.evidence(replace(samples.supported(), figures=figures))
    whole = render_html(evidence)
    assert whole.count("Picture in a separate file") == 0
    last = len(heatmap_svg(figures[2]).encode())

    page = tmp_path / "evidence.html"
    gallery = replace(gallery_for(page), limit=len(whole.encode()) - last + 100)
    html = render_html(evidence, gallery)
    save_page(html, gallery, page)
    assert page.read_text(encoding="utf-8") == html
    (name,) = gallery.separate_files
    assert name == "binding-retrieval-needs-dynamic-memory-2.svg"
    assert f'href="evidence-figures/{name}"' in html
    assert (tmp_path / "evidence-figures" / name).read_text(encoding="utf-8").startswith("<svg xmlns=")
    assert len(html) < len(whole)

    # Once the page has room again, the files of the earlier page are removed.
    gallery = gallery_for(page)
    save_page(render_html(evidence, gallery), gallery, page)
    assert list((tmp_path / "evidence-figures").iterdir()) == []


def test_no_name_leads_out_of_the_folder() -> None:
    gallery = Gallery(folder="evidence-figures", limit=0)
    names = ("../../etc/passwd", "a/b", "", "é" * 300, "A/b")
    page = gallery.fill("".join(gallery.add(name, "<svg/>") for name in names))
    assert list(gallery.separate_files) == ["etc-passwd-0.svg", "a-b-1.svg", "-2.svg", "-3.svg", "a-b-4.svg"]
    assert page.count('href="evidence-figures/') == 5


def test_a_text_that_looks_like_a_placeholder_stays_a_text() -> None:
    entry = samples.supported()
    claim = replace(entry.claim, source="<!--picture 0-->")
    figure = Heatmap("Map", ("a",), ("b",), ((0.5,),))
    html = render_html(samples.evidence(replace(entry, claim=claim, figures=(figure,))))
    assert "&lt;!--picture 0--&gt;" in html
    assert "<!--picture" not in html
