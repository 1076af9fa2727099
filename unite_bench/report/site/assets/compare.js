// Two embedders side by side. Differences come from the statistics of unite-bench; without them, scores stand alone.
"use strict";

const board = arrived.get("board");
const compared = new Set(arrived.get("pairs"));
const form = document.getElementById("pair");
const place = document.getElementById("comparison");
const METHOD = "Intervals are 95 %, for new queries of the same kind on the same tasks and corpora. p: sign flips by cluster of "
  + "queries, corrected by Holm over the rows of the table. Filled dots: p corrected below 0.05. win / tie / loss counts queries "
  + "on a task, and tasks over a suite. detectable: smallest true "
  + "difference found with a chance of 80 %. No difference found is no evidence of equality.";

function chosen() {
  return [board.embedders[form.a.selectedIndex], board.embedders[form.b.selectedIndex]];
}

async function update() {
  const [a, b] = chosen();
  address({ a: a.page, b: b.page, order: form.order.value === "difference" ? "" : form.order.value, found: form.found.checked ? "1" : "" });
  const turned = compared.has(`${b.page}~${a.page}`);
  const name = turned ? `${b.page}~${a.page}` : `${a.page}~${b.page}`;
  const found = compared.has(name) ? await load(`pairs/${name}`) : null;
  const [first, second] = chosen();
  if (a !== first || b !== second) return;  // another pair was chosen meanwhile
  if (found) show(a, b, turn(found, turned));
  else if (a === b) tell("Choose two different embedders.");
  else bare(a, b);
}

/** The differences the other way round. */
function turn(found, turned) {
  if (!turned) return found;
  const back = (d) => ({
    ...d, scores: [d.scores[1], d.scores[0]], difference: -d.difference, interval: [-d.interval[1], -d.interval[0]],
    winTieLoss: [...d.winTieLoss].reverse(),
  });
  return { tasks: found.tasks.map(back), suites: found.suites.map(back) };
}

function tell(text, method = "") {
  place.replaceChildren();
  document.getElementById("count").textContent = text;
  document.getElementById("method").textContent = method;
}

function show(a, b, found) {
  const ahead = found.tasks.filter((d) => d.corrected < 0.05 && d.difference > 0).length;
  const behind = found.tasks.filter((d) => d.corrected < 0.05 && d.difference < 0).length;
  tell(`${found.tasks.length} shared tasks: ${a.name} is found ahead on ${ahead}, behind on ${behind}; `
    + `on the rest no difference was found.`, METHOD);
  const order = {
    difference: (x, y) => y.difference - x.difference, task: () => 0, p: (x, y) => x.corrected - y.corrected,
  }[form.order.value];
  const rows = found.tasks.filter((d) => !form.found.checked || d.corrected < 0.05).sort(order);
  if (found.suites.length) {
    place.append(make("h2", {}, "Suites, above chance"), tabled(a, b, found.suites, (d) => d.title, "suite"));
  }
  place.append(make("h2", {}, "Tasks, primary measure"), tabled(a, b, rows, linked, "task"));
}

function linked(d) {
  const task = board.tasks[d.task];
  return make("span", {}, make("a", { href: `tasks/${task.page}.html` }, task.title), make("span", { class: "under" }, `${task.asks} · ${task.measure}`));
}

function tabled(a, b, rows, named, what) {
  const head = [what, a.name, b.name, "difference", "95 % interval", "", "p corrected", "win / tie / loss", "detectable"];
  const reach = Math.max(0.05, ...rows.map((d) => Math.max(Math.abs(d.interval[0]), Math.abs(d.interval[1]))));
  const body = rows.map((d) => make("tr", {},
    make("th", { scope: "row" }, named(d)),
    ...[...d.scores.map(percent), (d.difference > 0 ? "+" : "") + percent(d.difference), `${percent(d.interval[0])} to ${percent(d.interval[1])}`]
      .map((text) => make("td", { class: "number" }, text)),
    make("td", {}, forest(d, reach)),
    ...[p(d.corrected), d.winTieLoss.join(" / "), percent(d.detectable)].map((text) => make("td", { class: "number" }, text))));
  const headings = head.map((text, n) => (text === "" ? make("td", {}, make("span", { class: "unseen" }, "drawn"))
    : make("th", { scope: "col", class: n ? "number" : null }, text)));
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Differences by ${what}, scrolls` },
    make("table", { class: "ranking differences" }, make("thead", {}, make("tr", {}, ...headings)), make("tbody", {}, ...body)));
}

/** A difference on the scale from -reach to reach. */
function forest(d, reach) {
  const x = (value) => (75 + (75 * value) / reach).toFixed(1);
  const label = `${percent(d.difference)}, 95 % interval ${percent(d.interval[0])} to ${percent(d.interval[1])}`;
  return draw("svg", { class: `forest${d.corrected < 0.05 ? " found" : ""}`, viewBox: "-4 0 158 16", width: 158, height: 16, role: "img", "aria-label": label },
    draw("line", { class: "chance", x1: 75, x2: 75, y1: 0, y2: 16 }),
    draw("line", { class: "span", x1: x(d.interval[0]), x2: x(d.interval[1]), y1: 8, y2: 8 }),
    draw("circle", { class: "dot", cx: x(d.difference), cy: 8, r: 3.5 }));
}

function p(value) {
  return value >= 0.001 ? value.toFixed(3) : value.toExponential(1);
}

/** Scores with their own intervals, where no statistics of the pair are at hand. */
function bare(a, b) {
  const [x, y] = [board.embedders.indexOf(a), board.embedders.indexOf(b)];
  const rows = board.tasks.map((task, at) => ({ task: at, cells: [board.cells[x][at], board.cells[y][at]] })).filter((row) => row.cells[0] && row.cells[1]);
  tell(`${rows.length} shared tasks. The rows of queries were not read for this site, so differences have no interval here; `
    + `unite-bench compare gives them.`);
  if (!rows.length) return;
  const head = ["task", a.name, b.name, "difference"];
  const body = rows.sort((r, s) => gap(s) - gap(r)).map((row) => make("tr", {}, make("th", { scope: "row" }, linked(row)),
    ...row.cells.map((cell) => make("td", { class: "number" }, cell[0])),
    make("td", { class: "number" }, (gap(row) > 0 ? "+" : "") + percent(gap(row)))));
  place.append(make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Scores, scrolls" },
    make("table", { class: "ranking" }, make("thead", {}, make("tr", {}, ...head.map((text, n) => make("th", { scope: "col", class: n ? "number" : null }, text)))),
      make("tbody", {}, ...body))));
}

function gap(row) {
  return row.cells[0][1] - row.cells[1][1];
}

function recall() {
  const held = addressed();
  const at = (name, otherwise) => {
    const found = board.embedders.findIndex((of) => of.page === held.get(name));
    return found < 0 ? otherwise : found;
  };
  form.a.selectedIndex = at("a", 0);
  form.b.selectedIndex = at("b", board.embedders.length > 1 && form.a.selectedIndex !== 1 ? 1 : 0);
  form.order.value = held.get("order") || "difference";
  form.found.checked = held.has("found");
  update();
}

for (const select of [form.a, form.b]) select.append(...board.embedders.map((of) => make("option", { value: of.page }, of.name)));
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("input", update);
document.getElementById("swap").addEventListener("click", () => {
  [form.a.selectedIndex, form.b.selectedIndex] = [form.b.selectedIndex, form.a.selectedIndex];
  update();
});
addEventListener("hashchange", recall);
recall();
form.firstElementChild.disabled = false;  // until here a choice would have been lost
