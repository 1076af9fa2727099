// What every page shares: the choice of colours, pieces of data, the address as state, elements made from text.
"use strict";

const arrived = new Map(); // name of a piece: its data
const awaited = new Map(); // name of a piece: the promise of it

/** Called by the scripts under data/. */
function piece(name, data) {
  arrived.set(name, data);
}

/** The data of a piece, loaded once. A page from a file may not fetch, but may load scripts. */
function load(name) {
  if (!awaited.has(name)) {
    awaited.set(name, new Promise((resolve, reject) => {
      if (arrived.has(name)) return resolve(arrived.get(name));
      const script = document.createElement("script");
      script.src = `${document.body.dataset.root}data/${name}.js`;
      script.onload = () => resolve(arrived.get(name));
      script.onerror = () => reject(new Error(`data/${name}.js is missing`));
      document.head.append(script);
    }));
  }
  return awaited.get(name);
}

/** An element with attributes and children; strings become text, never markup. */
function make(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
function draw(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** What the address says after #, as names and values. */
function addressed() {
  return new URLSearchParams(location.hash.slice(1));
}

/** Write state into the address, leaving out what is empty; no step is added to the history. */
function address(state) {
  const held = new URLSearchParams(Object.entries(state).filter(([, value]) => value !== "" && value !== false));
  history.replaceState(null, "", `#${held}`);
}

/** In percent with one digit, as the tables print it. */
function percent(value) {
  const text = (100 * value).toFixed(1);
  return text === "-0.0" ? "0.0" : text;
}

const COLOURS = "unite-bench-colours";

/** Where the browser remembers a choice; some refuse to, and then it lasts for the page. */
function remembered(value) {
  try {
    if (value === undefined) return localStorage.getItem(COLOURS) || "";
    localStorage.setItem(COLOURS, value);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
  }
  return value || "";
}

function coloured(scheme) {
  if (scheme) document.documentElement.dataset.theme = scheme;
  else delete document.documentElement.dataset.theme;
}

coloured(remembered());
document.addEventListener("change", (event) => {
  if (event.target.id === "theme") coloured(remembered(event.target.value));
});
document.addEventListener("DOMContentLoaded", () => {
  document.getElementById("theme").value = document.documentElement.dataset.theme ?? "";
});
document.addEventListener("click", (event) => {
  if (!event.target.closest(".skip")) return;
  event.preventDefault();  // the address keeps the state of the page
  document.getElementById("main").focus();
});
