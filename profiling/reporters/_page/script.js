"use strict";
// Tables are sorted by a click on a head. Without this script they stand as they were written.
const numberOf = (row, place) => parseFloat(row.cells[place].dataset.value);

const compare = (place, sign) => (first, second) => {
  const a = numberOf(first, place);
  const b = numberOf(second, place);
  if (Number.isNaN(a) && Number.isNaN(b)) {
    return sign * first.cells[place].textContent.localeCompare(second.cells[place].textContent);
  }
  // What has no number comes last, whichever way the others stand.
  return Number.isNaN(a) ? 1 : Number.isNaN(b) ? -1 : sign * (a - b);
};

for (const table of document.querySelectorAll("table.figures")) {
  const body = table.tBodies[0];
  if (body.rows.length < 2) continue;
  const heads = [...table.tHead.rows[0].cells];
  const written = [...body.rows];
  heads.forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    if (!button.textContent.trim()) button.setAttribute("aria-label", "sort by name");
    head.append(button);
    // Numbers begin with the largest; a third click restores the order of the report.
    const isNumber = written.some((row) => !Number.isNaN(numberOf(row, place)));
    const orders = isNumber ? ["descending", "ascending", "none"] : ["ascending", "descending", "none"];
    button.addEventListener("click", () => {
      const order = orders[(orders.indexOf(head.getAttribute("aria-sort") ?? "none") + 1) % 3];
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      const rows = [...written];
      if (order !== "none") {
        rows.sort(compare(place, order === "ascending" ? 1 : -1));
        head.setAttribute("aria-sort", order);
      }
      body.append(...rows);
    });
  });
}
