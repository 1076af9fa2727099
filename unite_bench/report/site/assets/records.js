// The record behind a result, loaded when it is asked for.
"use strict";

const dialog = document.getElementById("record");
const file = document.getElementById("record-file");

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-record]");
  if (!button) return;
  const label = button.dataset.record;
  const text = JSON.stringify((await load(button.dataset.piece))[label], null, 1);
  document.getElementById("record-title").textContent = label;
  dialog.querySelector("pre").textContent = text;
  file.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  file.download = `${label}.json`;
  dialog.showModal();
});
document.getElementById("record-close").addEventListener("click", () => dialog.close());
dialog.addEventListener("close", () => URL.revokeObjectURL(file.href));
