"use strict";
// Tables that sort and search, claims by verdict, light and dark.

for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const ascending = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const rows = [...body.rows].sort((a, b) => compared(key(a), key(b)) * (ascending ? 1 : -1));
      body.append(...rows);
    });
  });
}

function compared(a, b) {
  // Empty cells go last in ascending order, numbers by their size, words as the reader's language has them.
  if (a === "" || b === "") return (a === "") - (b === "");
  const difference = Number(a) - Number(b);
  return Number.isNaN(difference) ? a.localeCompare(b, undefined, { numeric: true }) : difference;
}

for (const search of document.querySelectorAll("input[data-searches]")) {
  const table = document.getElementById(search.dataset.searches);
  const count = document.getElementById(search.dataset.count);
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    count.textContent = `${shown} of ${table.tBodies[0].rows.length}`;
  };
  search.addEventListener("input", filter);
  filter();
}

const verdicts = [...document.querySelectorAll("button[data-verdict]")];
for (const button of verdicts) {
  button.addEventListener("click", () => {
    verdicts.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
    for (const row of document.querySelectorAll("tr.claim")) {
      row.hidden = button.dataset.verdict !== "" && row.dataset.verdict !== button.dataset.verdict;
    }
  });
}

const theme = document.getElementById("theme");
const isDark = () =>
  (document.documentElement.dataset.theme ??
    (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const redraw = () => document.dispatchEvent(new Event("themechange"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
theme.addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  redraw();
});
