// The leaderboard: which rows and columns are shown, in which order. Its whole state stands in the address.
"use strict";

const data = arrived.get("board");
const form = document.getElementById("filters");
const table = document.getElementById("board");
const scroller = table.parentElement;
const picker = document.getElementById("columns");
const FIELDS = ["suite", "by", "granularity", "modality", "size", "dim", "since", "q"];
const LETTERS = { T: "text", I: "image", V: "video" };

const BEYOND = 6;       // columns filled on either side of those in sight
const WHOLE = 48;       // columns up to which a table is filled whole

let sorting = "";       // a column's key, with "-" in front if the largest comes first; empty: the first column
let hidden = new Set(); // keys of the columns that were chosen away
let shown = [];         // the columns of the table as it stands
let rows = [];          // {entry, name, cells, places, element} of the table as it stands
let inSight = [0, 0];   // the span of columns that are filled
let built = "";         // what the table was built from

/** The columns of a view: the mean of a suite and its kinds of task, or its tasks. Each has a key, a name and a cell of a row. */
function columnsOf(view) {
  if (form.by.value === "tasks") {
    return view.tasks.map((at) => {
      const task = data.tasks[at];
      return {
        key: task.page, name: task.title, under: `${task.asks} · ${task.measure}`, page: `tasks/${task.page}.html`,
        granularity: task.granularity, modalities: task.modalities, cell: (row) => data.cells[row.embedder][at],
      };
    });
  }
  const groups = view.groups.map((group, at) => {
    const [granularity, asks] = [group.name.slice(0, group.name.indexOf(" ")), group.name.slice(group.name.indexOf(" ") + 1)];
    const modalities = asks.includes("any") ? Object.values(LETTERS) : [...asks].map((letter) => LETTERS[letter]);
    const name = `${granularity} ${asks}`;
    const tasks = `${group.tasks.length} task${group.tasks.length === 1 ? "" : "s"}`;
    return { key: group.name, name, under: tasks, granularity, modalities, cell: (row) => row.cells[at] };
  });
  const mean = { key: "mean", name: "mean", under: `all ${view.tasks.length + view.unmeasured} tasks`, cell: (row) => row.cells[view.groups.length] };
  return [mean, ...groups].filter((column) => view.rows.some((row) => column.cell(row)));
}

function wanted(column) {
  const { granularity, modality } = form;
  if (column.granularity === undefined) return true;
  return (!granularity.value || column.granularity === granularity.value)
    && (!modality.value || column.modalities.includes(modality.value));
}

function passes(row) {
  const of = data.embedders[row.embedder];
  const { size, dim, since, q } = form;
  if (size.value === "unknown" && of.size !== null) return false;
  if (Number(size.value) && !(of.size !== null && of.size <= Number(size.value))) return false;
  return (!dim.value || of.dim <= Number(dim.value)) && (!since.value || of.date >= since.value)
    && of.name.toLowerCase().includes(q.value.trim().toLowerCase());
}

/** Bring the table to what the form says, building it anew only if its columns change. */
function update() {
  const view = data.suites[form.suite.selectedIndex];
  const all = columnsOf(view);
  const columns = all.filter((column) => wanted(column) && !hidden.has(column.key));
  const signature = JSON.stringify([view.name, form.by.value, form.intervals.checked, columns.map((column) => column.key)]);
  if (signature !== built) {
    build(view, columns);
    pick(all);
    built = signature;
  }
  let count = 0;
  for (const row of rows) {
    row.element.hidden = !passes(row.entry);
    count += !row.element.hidden;
  }
  sort();
  emphasise();
  fill(true);
  document.getElementById("count").textContent =
    `${count} of ${rows.length} embedders, ${columns.length} of ${all.length} columns`;
  document.getElementById("caption").textContent = form.by.value === "tasks"
    ? `${view.title}: primary measure of each task in percent.` : view.caption;
  remember();
}

function build(view, columns) {
  shown = columns;
  rows = view.rows.map((entry) => {
    const of = data.embedders[entry.embedder];
    const name = make("th", { scope: "row" }, make("a", { href: `embedders/${of.page}.html` }, of.name));
    const cells = columns.map((column) => column.cell(entry));
    return { entry, name: of.name, cells, places: [], element: make("tr", {}, name) };
  });
  const bodies = [false, true].map((below) => make("tbody", { class: below ? "below" : null },
    ...rows.filter((row) => row.entry.below === below).map((row) => row.element)));
  table.replaceChildren(
    make("caption", { class: "unseen" }, view.title),
    make("thead", {}, make("tr", {}, headed({ key: "name", name: "embedder" }), ...columns.map(headed))),
    ...bodies.filter((body) => body.rows.length));
  inSight = [0, 0];
}

/** Fill the columns in sight and some beyond. Laying out tens of thousands of cells at once would take a browser seconds. */
function fill(again) {
  let [from, to] = [0, shown.length];
  if (to > WHOLE) {
    const heads = [...table.tHead.rows[0].cells].slice(1);
    const [left, right] = [scroller.scrollLeft, scroller.scrollLeft + scroller.clientWidth];
    const width = heads[1].offsetWidth;
    const start = heads[0].offsetLeft;
    const first = Math.max(0, Math.floor((left - start) / width));
    const last = Math.min(to, Math.ceil((right - start) / width));
    if (!again && first >= inSight[0] && last <= inSight[1]) return;
    [from, to] = [Math.max(0, first - BEYOND), Math.min(to, last + BEYOND)];
  }
  inSight = [from, to];
  const gap = (columns) => (columns ? [make("td", { colspan: columns })] : []);
  for (const row of rows) {
    const cells = row.cells.slice(from, to).map((cell, n) => celled(cell, row.places[from + n]));
    row.element.replaceChildren(row.element.firstChild, ...gap(from), ...cells, ...gap(shown.length - to));
  }
}

function headed(column) {
  const under = column.page ? make("a", { href: column.page, class: "under" }, column.under)
    : column.under ? make("span", { class: "under" }, column.under) : null;
  const button = make("button", { type: "button", "data-sort": column.key, title: column.name }, column.name);
  return make("th", { scope: "col", "data-key": column.key }, button, under);
}

function celled(cell, place) {
  if (!cell) return make("td", { class: "none" }, cell === 0 ? "n/a" : "–");
  const [text, , , marks] = cell;
  const space = text.indexOf(" ");
  const element = make("td", { class: place === 1 || place === 2 ? `place${place}` : null }, space < 0 ? text : text.slice(0, space));
  if (marks) {
    const said = [...marks].map((mark) => make("abbr", { class: "mark", title: data.notes[mark] }, mark));
    element.append(make("span", { class: "marks" }, ...said));
  }
  if (form.intervals.checked && space > 0) element.append(make("small", {}, text.slice(space + 1)));
  return element;
}

/** Order the rows within their bodies; what has no value comes last either way. */
function sort() {
  const key = sorting.replace(/^-/, "");
  let at = shown.findIndex((column) => column.key === key);
  let down = sorting.startsWith("-");
  if (at < 0 && key !== "name") [at, down] = [shown.length ? 0 : -1, true];
  const sign = down ? -1 : 1;
  const value = (row) => (row.cells[at] ? row.cells[at][1] : null);
  const ordered = [...rows].sort((a, b) => {
    if (at < 0) return sign * (a.name < b.name ? -1 : 1);
    const [x, y] = [value(a), value(b)];
    if (x === y) return a.name < b.name ? -1 : 1;
    if (x === null || y === null) return x === null ? 1 : -1;
    return sign * (x - y);
  });
  for (const body of table.tBodies) {
    const below = body.className === "below";
    body.append(...ordered.filter((row) => row.entry.below === below).map((row) => row.element));
  }
  for (const heading of table.tHead.rows[0].cells) {
    const current = heading.dataset.key === (at < 0 ? "name" : shown[at].key);
    if (current) heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    else heading.removeAttribute("aria-sort");
  }
}

/** Find the best and the second of each column among the rows shown above the rule, by what is printed. */
function emphasise() {
  const printed = (row, at) => row.cells[at][0].split(" ")[0];
  const compared = rows.filter((row) => !row.entry.below && !row.element.hidden);
  for (const row of rows) row.places = [];
  shown.forEach((_, at) => {
    const ranked = compared.filter((row) => row.cells[at] && row.cells[at][2] !== 0);
    if (ranked.length < 2) return;
    const texts = [...new Set(ranked.sort((a, b) => b.cells[at][1] - a.cells[at][1]).map((row) => printed(row, at)))];
    for (const row of ranked) row.places[at] = texts.indexOf(printed(row, at)) + 1;
  });
}

function pick(columns) {
  const boxes = columns.map((column) => make("label", { class: "check" },
    make("input", { type: "checkbox", name: "column", value: column.key, checked: !hidden.has(column.key) }),
    ` ${column.name}`));
  const all = ["all", "none"].map((what) => make("button", { type: "button", "data-pick": what }, what));
  picker.replaceChildren(make("p", {}, ...all), ...boxes);
}

function remember() {
  const state = Object.fromEntries(FIELDS.map((name) => [name, form[name].value]));
  if (form.suite.selectedIndex === 0) state.suite = "";
  if (form.by.value === "groups") state.by = "";
  address({ ...state, intervals: form.intervals.checked ? "1" : "", sort: sorting, hide: [...hidden].join("~") });
}

function recall() {
  const held = addressed();
  for (const name of FIELDS) form[name].value = held.get(name) || "";
  if (form.suite.selectedIndex < 0) form.suite.selectedIndex = 0;
  if (form.by.selectedIndex < 0) form.by.selectedIndex = 0;
  for (const name of ["granularity", "modality", "size", "dim"]) if (form[name].selectedIndex < 0) form[name].selectedIndex = 0;
  form.intervals.checked = held.has("intervals");
  sorting = held.get("sort") || "";
  hidden = new Set((held.get("hide") || "").split("~").filter(Boolean));
  built = "";
  update();
}

form.suite.append(...data.suites.map((suite) => make("option", { value: suite.name }, suite.title)));
const sizes = [...new Set(data.embedders.map((of) => of.dim))].sort((a, b) => a - b);
form.dim.append(...sizes.map((dim) => make("option", { value: dim }, `up to ${dim}`)));

form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("input", (event) => {
  if (event.target.name === "column") {
    if (event.target.checked) hidden.delete(event.target.value);
    else hidden.add(event.target.value);
  }
  const focused = event.target.name === "column" ? event.target.value : null;
  update();
  if (focused !== null) picker.querySelector(`input[value="${CSS.escape(focused)}"]`)?.focus();
});
picker.addEventListener("click", (event) => {
  const what = event.target.dataset.pick;
  if (!what) return;
  hidden = what === "all" ? new Set() : new Set([...picker.querySelectorAll("input")].map((box) => box.value));
  update();
  picker.querySelector(`[data-pick="${what}"]`).focus();
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape") picker.parentElement.open = false;
});
addEventListener("click", (event) => {
  if (!picker.parentElement.contains(event.target)) picker.parentElement.open = false;
});
form.addEventListener("reset", (event) => {
  event.preventDefault();
  history.replaceState(null, "", "#");
  recall();
});
table.addEventListener("click", (event) => {
  const key = event.target.closest("[data-sort]")?.dataset.sort;
  if (key === undefined) return;
  const heading = event.target.closest("th");
  const down = heading.getAttribute("aria-sort") === "descending";
  const again = heading.hasAttribute("aria-sort");
  sorting = (again ? !down : key !== "name") ? `-${key}` : key;
  sort();
  remember();
});
scroller.addEventListener("scroll", () => requestAnimationFrame(() => fill(false)), { passive: true });
addEventListener("resize", () => fill(false));
addEventListener("hashchange", recall);
recall();
form.firstElementChild.disabled = false;  // until here a choice would have been lost
