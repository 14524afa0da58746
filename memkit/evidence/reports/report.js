// Sorts, filters and searches the table of verdicts, and opens the folded sections that a link leads into.
// The page is complete without this script.
"use strict";
(() => {
  const table = document.getElementById("verdict-table");
  const tools = document.getElementById("tools");
  const reveal = () => {
    let target = null;
    try { target = document.getElementById(decodeURIComponent(location.hash.slice(1))); } catch { /* malformed hash */ }
    for (let element = target; element; element = element.parentElement) {
      if (element.tagName === "DETAILS") element.open = true;
      element.hidden = false; // shows a linked claim even if the filter hides it
    }
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();
  const closed = [];
  addEventListener("beforeprint", () => {
    for (const section of document.querySelectorAll("details:not([open])")) { closed.push(section); section.open = true; }
  });
  addEventListener("afterprint", () => { for (const section of closed.splice(0)) section.open = false; });
  if (!table || !tools) return;

  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const counter = document.getElementById("shown");
  const [search, study, verdict] = ["search", "study", "verdict"].map((name) => document.getElementById(name));
  const articles = new Map(Array.from(document.querySelectorAll("article"), (a) => [a.id, a]));
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const matches = (!study.value || row.dataset.study === study.value)
        && (!verdict.value || row.dataset.verdict === verdict.value)
        && words.every((word) => row.dataset.text.includes(word));
      row.hidden = !matches;
      const article = articles.get(row.dataset.claim);
      if (article) article.hidden = !matches;
      shown += matches;
    }
    counter.textContent = `${shown} of ${rows.length} claims`;
  };
  for (const [select, key] of [[study, "study"], [verdict, "verdict"]]) {
    for (const value of new Set(rows.map((row) => row.dataset[key]))) select.add(new Option(value, value));
    select.addEventListener("change", filter);
  }
  search.addEventListener("input", filter);
  tools.hidden = false;
  filter();

  table.querySelectorAll("thead th").forEach((head, column) => {
    if (!head.dataset.sort) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const descending = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const key = (row) => row.cells[column].dataset.key ?? row.cells[column].textContent.trim();
      const compare = head.dataset.sort === "number"
        ? (a, b) => (parseFloat(key(a)) || 0) - (parseFloat(key(b)) || 0)
        : (a, b) => key(a).localeCompare(key(b));
      body.append(...[...rows].sort((a, b) => (descending ? -compare(a, b) : compare(a, b))));
    });
  });
})();
