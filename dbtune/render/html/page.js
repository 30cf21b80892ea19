"use strict";

const collator = new Intl.Collator(undefined, { numeric: true });

// Missing figures come last, whichever way the column is sorted; equal ones keep their order.
function sorted(rows, key, descending) {
  const keyed = rows.map((row) => [key(row), row]);
  keyed.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null);
    const order = typeof a === "number" ? a - b : collator.compare(a, b);
    return descending ? -order : order;
  });
  return keyed.map(([, row]) => row);
}

function keyOf(cell, kind) {
  const text = (cell.dataset.value ?? cell.textContent).trim();
  if (text === "") return null;
  return kind === "number" ? Number(text) : text;
}

function matches(text, wanted) {
  const found = text.toLowerCase();
  return wanted.toLowerCase().split(/\s+/).every((word) => found.includes(word));
}

function makeSortable(table) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const kind = head.dataset.sort;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const descending = before ? before === "ascending" : kind === "number";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      body.append(...sorted(rows, (row) => keyOf(row.cells[column], kind), descending));
    });
  });
}

function makeFilter(table, input, output) {
  const rows = [...table.tBodies[0].rows].map((row) => [row, row.textContent]);
  const apply = () => {
    const wanted = input.value.trim();
    for (const [row, text] of rows) row.hidden = !matches(text, wanted);
    const shown = rows.filter(([row]) => !row.hidden).length;
    output.textContent = wanted ? `${shown} of ${rows.length}` : "";
  };
  input.addEventListener("input", apply);
  input.closest("[hidden]").hidden = false;
  apply(); // a browser may have kept the text over a reload
}

// Without a clipboard, as on pages that are not secure, the text is selected instead.
function makeCopy(button) {
  const text = button.nextElementSibling;
  const say = (word) => {
    button.textContent = word;
    setTimeout(() => { button.textContent = "Copy"; }, 3000);
  };
  const select = () => {
    getSelection().selectAllChildren(text);
    say("Selected: now press Ctrl+C");
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    if (!navigator.clipboard) return select();
    navigator.clipboard.writeText(text.textContent).then(() => say("Copied"), select);
  });
}

function start() {
  const table = document.getElementById("query-table");
  if (table) {
    makeSortable(table);
    makeFilter(table, document.getElementById("filter"), document.getElementById("shown"));
  }
  document.querySelectorAll("button.copy").forEach(makeCopy);
}

globalThis.document?.addEventListener("DOMContentLoaded", start);
