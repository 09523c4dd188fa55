// Whom a message is forwarded to. What is ticked while a search is on its way is not in its answer, so that is asked for
// anew instead of being lost.
(() => {
  "use strict";
  const ticked = () => [...document.querySelectorAll("#targets input:checked")].map((box) => box.value);

  document.addEventListener("htmx:beforeSwap", (event) => {
    const { target, requestConfig, xhr } = event.detail;
    if (target.id !== "targets" || xhr.status !== 200) return;
    const known = new Set(requestConfig.formData.getAll("to"));
    const now = ticked();
    if (now.length === known.size && now.every((value) => known.has(value))) return;
    event.detail.shouldSwap = false;
    // Once this answer is done with: the field replaces what is on its way.
    setTimeout(() => window.htmx.trigger("#q", "again"));
  });
})();
