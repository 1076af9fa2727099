// The record behind a result, loaded when it is asked for. Runs before the page is read, so that no click is lost.
"use strict";

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-record]");
  if (!button) return;
  const dialog = document.getElementById("record");
  const label = button.dataset.record;
  const text = JSON.stringify((await load(button.dataset.piece))[label], null, 1);
  document.getElementById("record-title").textContent = label;
  dialog.querySelector("pre").textContent = text;
  const file = document.getElementById("record-file");
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  file.href = url;
  file.download = `${label}.json`;
  dialog.addEventListener("close", () => URL.revokeObjectURL(url), { once: true });
  if (!dialog.open) dialog.showModal();
});
