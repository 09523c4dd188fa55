// Files from elsewhere than the file dialogue: dragged onto the page's pane, pasted, or from a telephone's camera.
window.eachPane((signal) => {
  "use strict";
  const $ = (selector, within = document) => within.querySelector(selector);
  const list = $("#files");
  const form = list?.closest("form");
  if (!form) return;
  const pane = form.closest(".pane");
  const choose = (files) => list.dispatchEvent(new CustomEvent("files-chosen", { detail: [...files] }));

  // Dragging within the pane enters and leaves everything in it.
  let over = 0;
  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const show = () => pane.classList.toggle("pane--drop", over > 0);
  pane.addEventListener("dragenter", (event) => { if (hasFiles(event)) { event.preventDefault(); over += 1; show(); } });
  pane.addEventListener("dragover", (event) => { if (hasFiles(event)) { event.preventDefault(); event.dataTransfer.dropEffect = "copy"; } });
  pane.addEventListener("dragleave", (event) => { if (hasFiles(event)) { over = Math.max(over - 1, 0); show(); } });
  pane.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    over = 0;
    show();
    choose(event.dataTransfer.files);
  });
  // A file that misses the pane does not take the page away, and with it what was written.
  for (const name of ["dragover", "drop"]) addEventListener(name, (event) => { if (hasFiles(event)) event.preventDefault(); }, { signal });

  // A text with a picture beside it, as word processors copy it, is pasted as text.
  form.addEventListener("paste", (event) => {
    const { files, types } = event.clipboardData ?? {};
    if (!files?.length || [...types].includes("text/plain")) return;
    event.preventDefault();
    choose(files);
  });

  const camera = $("[data-camera]", form);
  if (!camera || !matchMedia("(pointer: coarse)").matches) return;
  camera.hidden = false;
  camera.addEventListener("click", () => {
    const field = Object.assign(document.createElement("input"), { type: "file", accept: "image/*" });
    field.setAttribute("capture", "environment");
    field.addEventListener("change", () => choose(field.files));
    field.click();
  });
});
