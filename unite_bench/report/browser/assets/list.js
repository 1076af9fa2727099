"use strict";

// The list of queries: filters, search, order, the page of the list that is shown, and the query that is read. All of it
// stands in the address, so that a view can be linked to.

const $ = (id) => document.getElementById(id);
const view = { index: null, found: [], at: 0, texts: null };
const FIELDS = () => [...document.querySelectorAll("#filters select, #filters input")];
const TOGGLES = () => [...document.querySelectorAll("#filters button[aria-pressed]")];

function fieldName(field) {
  if (field.dataset.slice !== undefined) return `slice${field.dataset.slice}`;
  if (field.dataset.beaten !== undefined) return `beaten${field.dataset.beaten}`;
  return field.id;
}

function groupOf(toggle) {
  return toggle.dataset.versus === undefined ? `side${toggle.dataset.side}` : "versus";
}

const valueOf = (toggle) => toggle.dataset.versus ?? toggle.dataset.filter;

// What is chosen, by the names that stand in the address.
function chosen() {
  const of = {};
  for (const field of FIELDS()) {
    if (field.value && field.value !== "asked") of[fieldName(field)] = field.value;
  }
  for (const toggle of TOGGLES()) {
    if (toggle.getAttribute("aria-pressed") === "true") of[groupOf(toggle)] = valueOf(toggle);
  }
  return of;
}

function choose(of) {
  for (const field of FIELDS()) {
    const value = of[fieldName(field)] ?? (field.id === "order" ? "asked" : "");
    const known = field.tagName !== "SELECT" || [...field.options].some((option) => option.value === value);
    field.value = known ? value : field.options[0].value;
  }
  for (const toggle of TOGGLES()) toggle.setAttribute("aria-pressed", String(of[groupOf(toggle)] === valueOf(toggle)));
}

function readAddress() {
  return Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
}

function writeAddress() {
  const number = view.found[view.at];
  const address = new URLSearchParams(number === undefined ? chosen() : { ...chosen(), query: view.index.ids[number] });
  history.replaceState(null, "", `#${address}`);
}

// The queries that every chosen filter keeps, in the chosen order.
function kept() {
  const { index } = view;
  const of = chosen();
  const tests = [];
  index.sides.forEach((side, which) => {
    const bit = index.filters.indexOf(of[`side${which}`]);
    if (bit >= 0) tests.push((n) => (side.masks[n] >> bit) & 1);
    const kind = of[`beaten${which}`];
    if (kind) tests.push((n) => side.beaten[n] === kind);
  });
  if (of.versus) tests.push((n) => index.versus[n] === of.versus);
  index.slices.forEach((slice, which) => {
    const value = of[`slice${which}`];
    if (value !== undefined) tests.push((n) => slice.values[n] === value);
  });
  const words = (of.search ?? "").toLocaleLowerCase().split(/\s+/).filter(Boolean);
  if (words.length) tests.push((n) => words.every((word) => view.texts[n].includes(word)));
  const found = index.ids.map((_, n) => n).filter((n) => tests.every((test) => test(n)));
  const last = Number.MAX_VALUE;
  const rank = (n) => index.sides[0].ranks[n]?.[2] ?? last;
  const moved = (n) => Math.abs(index.sides[0].values[n] - index.sides[1].values[n]);
  if (of.order === "worst") found.sort((a, b) => rank(b) - rank(a) || a - b);
  if (of.order === "moved") found.sort((a, b) => moved(b) - moved(a) || a - b);
  return found;
}

// All texts that the search looks into, loaded when they are first needed.
async function loadTexts() {
  const count = Math.ceil(view.index.ids.length / view.index.pieces.texts);
  const loaded = await Promise.all(Array.from({ length: count }, (_, number) => pieces.load("texts", number)));
  view.texts = loaded.flat().map((text) => text.toLocaleLowerCase());
}

// Filter again, and stay with the query that is read if it is still there; `focus` puts the focus on its row.
async function update({ query, focus = false } = {}) {
  if ($("search").value.trim() && view.texts === null) {
    $("found").textContent = "Reading texts";
    try {
      await loadTexts();
    } catch (error) {
      $("found").textContent = error.message;
      return;
    }
  }
  const stay = query ?? view.index.ids[view.found[view.at]];
  view.found = kept();
  view.at = Math.max(0, view.found.findIndex((n) => view.index.ids[n] === stay));
  const all = view.index.ids.length.toLocaleString("en");
  const some = view.found.length.toLocaleString("en");
  $("found").textContent = view.found.length === view.index.ids.length ? `${all} queries` : `${some} of ${all}`;
  const of = chosen();
  delete of.order;
  $("clear").hidden = Object.keys(of).length === 0;
  showRows();
  if (focus) $("rows").querySelector("[aria-current]")?.focus();
  await showDetail();
}

function showRows() {
  const { index, found, at } = view;
  const size = index.pieces.queries;
  const start = at - (at % size);
  const stop = Math.min(start + size, found.length);
  $("rows").replaceChildren(...found.slice(start, stop).map((n, k) => rowOf(n, start + k)));
  $("span").textContent = found.length ? `${(start + 1).toLocaleString("en")}–${stop.toLocaleString("en")}` : "none";
  $("back").disabled = start === 0;
  $("on").disabled = stop >= found.length;
}

function rowOf(n, at) {
  const { index } = view;
  const badges = index.sides.map((side, which) =>
    badge(side.ranks[n], side.outcomes[n], `${index.names.length > 1 ? `${index.names[which]}: ` : ""}${side.outcomes[n]}`));
  const link = element("a", { href: `#query=${encodeURIComponent(index.ids[n])}`, "aria-current": at === view.at ? "true" : null },
    element("span", { class: "badges" }, ...badges),
    index.pictures[n] ? element("img", { src: `media/${index.pictures[n]}`, alt: "", loading: "lazy", decoding: "async" }) : null,
    element("span", { class: "line", dir: "auto" }, index.lines[n]));
  link.addEventListener("click", (event) => {
    event.preventDefault();
    read(at, { focus: "detail" });
  });
  return element("li", {}, link);
}

// Read the query at a place of the list; `focus` says what gets the focus.
function read(at, { focus = "row" } = {}) {
  if (at < 0 || at >= view.found.length) return;
  const size = view.index.pieces.queries;
  const turned = Math.floor(at / size) !== Math.floor(view.at / size);
  view.at = at;
  if (turned) showRows();
  const rows = $("rows").querySelectorAll("a");
  rows.forEach((row, k) => (k === at % size ? row.setAttribute("aria-current", "true") : row.removeAttribute("aria-current")));
  if (turned) $("rows").scrollTop = 0;
  rows[at % size].scrollIntoView({ block: "nearest" });
  if (focus === "row") rows[at % size].focus({ preventScroll: true });
  if (focus === "detail") {
    document.body.dataset.view = "detail";
    if (getComputedStyle($("all")).display !== "none") $("detail").focus({ preventScroll: true });
  }
  return showDetail();
}

async function showDetail() {
  const { index, found, at } = view;
  writeAddress();
  const query = $("query");
  $("previous").disabled = at === 0;
  $("next").disabled = at + 1 >= found.length;
  if (!found.length) {
    query.replaceChildren(element("p", { class: "muted" }, "No query passes these filters."));
    return;
  }
  const number = found[at];
  const size = index.pieces.queries;
  try {
    const { items, queries } = await pieces.load("queries", Math.floor(number / size));
    if (found !== view.found || at !== view.at) return;  // another query was asked for meanwhile
    query.replaceChildren(...detailOf(queries[number % size], items, index, number));
    query.dataset.number = number;
    const narrow = document.body.dataset.view === "detail" && getComputedStyle($("all")).display !== "none";
    if (narrow || $("detail").getBoundingClientRect().top < 0) $("detail").scrollIntoView({ block: "start" });
    if (at + 1 < found.length) pieces.load("queries", Math.floor(found[at + 1] / size)).catch(() => {});  // ahead of time
  } catch (error) {
    if (found !== view.found || at !== view.at) return;
    query.replaceChildren(element("p", { class: "gone", role: "alert" }, error.message));
  }
}

function turn(by) {
  const size = view.index.pieces.queries;
  const at = (Math.floor(view.at / size) + by) * size;
  if (at >= 0) read(at);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, select, video")) return;
  const inList = event.target.closest("#rows") !== null;
  const act = {
    j: () => read(view.at + 1), k: () => read(view.at - 1),
    "]": () => turn(1), "[": () => turn(-1),
    "/": () => $("search").focus(),
    ...(inList ? { ArrowDown: () => read(view.at + 1), ArrowUp: () => read(view.at - 1) } : {}),
  }[event.key];
  if (act) {
    event.preventDefault();
    act();
  }
}

function listen() {
  let pause;
  $("search").addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(update, 120);
  });
  $("search").addEventListener("focus", () => loadTexts().catch(() => {}), { once: true });  // ahead of time; said when it is needed
  $("filters").addEventListener("change", (event) => event.target.tagName === "SELECT" && update());
  $("filters").addEventListener("submit", (event) => {  // Enter in the search goes on to what it found
    event.preventDefault();
    clearTimeout(pause);
    update({ focus: true });
  });
  $("filters").addEventListener("click", (event) => {
    const toggle = event.target.closest("button[aria-pressed]");
    if (!toggle) return;
    const on = toggle.getAttribute("aria-pressed") !== "true";
    TOGGLES().filter((other) => groupOf(other) === groupOf(toggle)).forEach((other) => other.setAttribute("aria-pressed", "false"));
    toggle.setAttribute("aria-pressed", String(on));
    update();
  });
  $("clear").addEventListener("click", () => {
    choose({ order: $("order").value });
    update();
  });
  $("previous").addEventListener("click", () => read(view.at - 1, { focus: "stay" }));
  $("next").addEventListener("click", () => read(view.at + 1, { focus: "stay" }));
  $("all").addEventListener("click", () => {
    document.body.dataset.view = "list";
    $("rows").querySelector("[aria-current]")?.focus();
  });
  $("skip").addEventListener("click", (event) => {  // the address keeps the view
    event.preventDefault();
    $("detail").focus();
  });
  $("back").addEventListener("click", () => turn(-1));
  $("on").addEventListener("click", () => turn(1));
  document.addEventListener("keydown", onKey);
  addEventListener("hashchange", () => {
    const of = readAddress();
    choose(of);
    update({ query: of.query });
  });
}

async function start() {
  for (const share of document.querySelectorAll(".bar [data-count]")) share.style.flexGrow = share.dataset.count;
  view.index = await pieces.load("index", 0);
  const of = readAddress();
  choose(of);
  if (of.query) document.body.dataset.view = "detail";
  listen();
  document.querySelector("#filters > fieldset").disabled = false;  // until here a choice would have been lost
  await update({ query: of.query });
  document.body.dataset.ready = "";
  performance.mark("ready");
}

start().catch((error) => {
  $("found").textContent = error.message;
});
