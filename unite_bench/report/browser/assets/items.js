"use strict";

// Items on the page. What comes from data is only ever set as text, never as markup.

const LONG = 600;  // characters above which a text is cut until asked for

// An element with attributes (none for null) and children; strings become text.
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

// All parts of an item in their order, its instruction before them.
function itemOf(item) {
  const body = element("div", { class: "item" });
  if (item.instruction) body.append(element("p", { class: "instruction", dir: "auto" }, item.instruction));
  if (item.lost) body.append(element("p", { class: "gone" }, `Cannot be opened: ${item.lost}`));
  for (const part of item.parts) {
    if (part.lost) body.append(element("p", { class: "gone" }, `This ${part.kind} cannot be opened: ${part.lost}`));
    else if (part.kind === "text") body.append(textOf(part.text));
    else if (part.kind === "image") body.append(pictureOf(part, item.id));
    else body.append(clipOf(part, item.id));
  }
  return body;
}

function textOf(text) {
  const paragraph = element("p", { class: "text", dir: "auto" });
  const characters = [...text];
  if (characters.length <= LONG) {
    paragraph.textContent = text;
    return paragraph;
  }
  const all = `Show all ${characters.length.toLocaleString("en")} characters`;
  const more = element("button", { type: "button", class: "plain small", "aria-expanded": "false" }, all);
  const cut = characters.slice(0, LONG).join("") + "…";
  paragraph.textContent = cut;
  more.addEventListener("click", () => {
    const open = more.getAttribute("aria-expanded") === "false";
    paragraph.textContent = open ? text : cut;
    more.textContent = open ? "Show less" : all;
    more.setAttribute("aria-expanded", String(open));
  });
  return element("div", {}, paragraph, more);
}

function pictureOf(part, id) {
  const [width, height] = part.size;
  const image = element("img", { src: `media/${part.picture}`, alt: `Picture of ${id}`, width, height, decoding: "async" });
  return element("a", { class: "picture", href: `media/${part.picture}`, target: "_blank" }, image);
}

// A strip of frames that wraps where there is no room, and a button that puts the playing clip in its place.
function clipOf(part, id) {
  const frame = part.size[0] / part.frames;
  const strip = element("div", { class: "strip", role: "img", "aria-label": `${part.frames} frames of ${id}` });
  for (let n = 0; n < part.frames; n++) {
    const cell = element("span");
    cell.style.aspectRatio = `${frame} / ${part.size[1]}`;
    cell.style.maxWidth = `${frame}px`;
    cell.style.backgroundImage = `url("media/${part.picture}")`;
    cell.style.backgroundSize = `${100 * part.frames}% 100%`;
    cell.style.backgroundPosition = `${part.frames > 1 ? (100 * n) / (part.frames - 1) : 0}% 0`;
    strip.append(cell);
  }
  const play = element("button", { type: "button", class: "small play", "aria-pressed": "false" }, "Play");
  const few = part.frames < part.shown ? `${part.frames} of the ${part.shown} frames that a model is given` : "";
  const clip = element("div", { class: "clip" }, strip,
    element("div", { class: "under" }, play, element("span", { class: "muted small" }, few)));
  play.addEventListener("click", () => {
    const playing = play.getAttribute("aria-pressed") === "true";
    if (playing) {
      clip.querySelector("video").replaceWith(strip);
    } else {
      const video = element("video", { src: `media/${part.clip}`, controls: "", loop: "", playsinline: "", "aria-label": `Clip of ${id}` });
      video.muted = true;
      strip.replaceWith(video);
      video.play().catch(() => {});  // the controls are there where a browser does not start by itself
    }
    play.textContent = playing ? "Play" : "Frames";
    play.setAttribute("aria-pressed", String(!playing));
  });
  return clip;
}
