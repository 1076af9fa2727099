"use strict";

// One query: what was asked, what should be found, and what was.

function rankText(rank) {
  if (!rank) return "–";
  const [best, worst] = rank;
  return best === worst ? String(best) : `${best}–${worst}`;
}

function onAverage([best, worst, expected]) {
  return best === worst ? null : element("span", { class: "muted small" }, `tied, ${Number(expected.toFixed(2))} on average`);
}

function badge(rank, outcome, title) {
  return element("span", { class: `badge ${outcome}`, title: title ?? null }, rankText(rank));
}

// Elements that show one query: `number` is its place in the task, `items` those of its piece.
function detailOf(query, items, index, number) {
  const two = query.sides.length > 1;
  const asked = items[query.item];
  const named = [asked, ...query.sides.flatMap((side) => side.positives.map(([item]) => items[item]))];
  const clips = named.some((item) => item.parts.some((part) => part.kind === "video"));
  const heading = element("header", { class: "head" },
    element("h2", {}, `Query ${(number + 1).toLocaleString("en")}`, " ",
      element("span", { class: "mono muted", dir: "auto" }, `id ${asked.id}`)),
    element("div", { class: "tags" }, ...query.slices.map((value, n) =>
      element("span", { class: "tag" }, `${index.slices[n].name}: ${value}`))),
  );
  const found = element("div", { class: two ? "sides two" : "sides" },
    ...query.sides.map((side, which) => sideOf(side, which, items, index)));
  return [
    heading,
    element("div", { class: clips ? "" : "beside" },
      element("section", { class: "asked" }, element("h3", {}, "Asked"), itemOf(asked)),
      positivesOf(query, items, index)),
    found,
  ];
}

// The positives of a query, each with its rank under every result.
function positivesOf(query, items, index) {
  const ranks = new Map();
  const of = (item) => ranks.get(item) ?? ranks.set(item, { grade: 1, by: [] }).get(item);
  query.sides.forEach((side, which) => {
    for (const [item, grade, outcome, ...rank] of side.positives) Object.assign(of(item), { grade }).by[which] = { outcome, rank };
    for (const [item, why] of side.lost) of(item).by[which] = why ?? "not ranked";
  });
  const list = element("ul", { class: "positives" });
  for (const [item, { grade, by }] of ranks) {
    const said = query.sides.map((_, which) => {
      const under = by[which];
      const name = query.sides.length > 1 ? element("span", { class: "key" }, "AB"[which]) : null;
      if (under === undefined) return element("span", {}, name, " rank not shown");
      if (typeof under === "string") return element("span", {}, name, element("span", { class: "gone" }, under));
      return element("span", {}, name, " Rank ", badge(under.rank, under.outcome), " ", onAverage(under.rank) ?? "");
    });
    list.append(element("li", {},
      element("p", { class: "ranks" }, ...said, grade === 1 ? null : element("span", { class: "tag" }, `grade ${grade}`),
        element("span", { class: "id mono", title: items[item].id, dir: "auto" }, items[item].id)),
      itemOf(items[item])));
  }
  const more = Math.max(...query.sides.map((side) => side.more));
  const title = ranks.size === 1 ? "Should find" : `Should find ${(ranks.size + more).toLocaleString("en")} positives`;
  return element("section", {}, element("h3", {}, title), list,
    more ? element("p", { class: "muted small" }, `and ${more.toLocaleString("en")} more, ranked lower`) : null);
}

// The first candidates of one result.
function sideOf(side, which, items, index) {
  const two = index.names.length > 1;
  const values = index.measures.map((name, n) => `${name} ${Number(side.values[n].toFixed(3))}`).join(", ");
  const head = element("div", { class: "found" },
    element("h3", {}, two ? element("span", { class: "key" }, "AB"[which]) : null, two ? " " : null, `Found by ${index.names[which]}`),
    element("p", { class: "muted small" }, `of ${side.pool.toLocaleString("en")} candidates; ${values}`));
  if (side.failed) return element("section", {}, head, element("p", { class: "gone" }, `Could not be encoded: ${side.failed}`));
  const plain = side.hits.every(([item]) => items[item].parts.every((part) => part.kind !== "image"));
  const hits = element("ol", { class: plain ? "hits lines" : "hits tiles" });
  side.hits.forEach(([item, score, best, worst, right]) => {
    const same = side.hits.filter((other) => other[2] === best).length;
    const tied = worst === null ? same > 1 : best !== worst;
    const rank = worst === null ? `${best}${tied ? "+" : ""}` : rankText([best, worst]);
    hits.append(element("li", { class: right ? "hit right" : "hit" },
      element("p", { class: "place" },
        element("span", { class: "rank", title: tied ? "equal scores share these ranks" : null }, rank),
        element("span", { class: "muted" }, score.toFixed(4)),
        right ? element("span", { class: "mark" }, "positive") : null,
        element("span", { class: "id mono", title: items[item].id, dir: "auto" }, items[item].id)),
      itemOf(items[item])));
  });
  return element("section", {}, head, hits);
}
