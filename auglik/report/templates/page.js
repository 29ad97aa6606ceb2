"use strict";
/* A heading's button sorts its table: ascending, descending, then as it was. Numbers before text, what is absent last. */
document.querySelectorAll("table").forEach(table => {
  const body = table.tBodies[0], before = [...body.rows], heads = [...table.tHead.rows[0].cells];
  const key = (row, column) => {
    const cell = row.cells[column];
    if (cell.dataset.order === undefined) return cell.textContent.trim();
    const order = cell.dataset.order;
    return order === "inf" ? Infinity : order === "-inf" ? -Infinity : Number(order);
  };
  const rank = value => typeof value === "number" ? 0 : value === "–" ? 2 : 1;
  const compare = (a, b, sign) => rank(a) - rank(b) || sign * (rank(a) === 0 ? (a > b) - (a < b) : String(a).localeCompare(String(b)));
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
    const next = { none: "ascending", ascending: "descending", descending: "none" }[head.getAttribute("aria-sort")];
    heads.forEach(other => other.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", next);
    const sign = next === "descending" ? -1 : 1;
    const rows = next === "none" ? before : [...before].sort((a, b) => compare(key(a, column), key(b, column), sign));
    body.append(...rows);
  }));
});
/* A cell under the pointer stands out in all pictures. */
const series = [...document.querySelectorAll("[data-series]")];
const pick = name => {
  document.body.classList.toggle("picked", name !== undefined);
  series.forEach(one => one.classList.toggle("picked", one.dataset.series === name));
};
document.addEventListener("pointerover", event => pick(event.target.closest("[data-series]")?.dataset.series));
/* On paper, tables are open, but for those of single runs. */
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details.table:not([open])")];
  opened.forEach(one => { one.open = true; });
});
addEventListener("afterprint", () => opened.forEach(one => { one.open = false; }));
