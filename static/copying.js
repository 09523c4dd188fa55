// Copies what a button is for, and says whether it did. Without script, or a clipboard, the text is there to be selected.
(() => {
  "use strict";
  if (!navigator.clipboard) return;
  for (const button of document.querySelectorAll("[data-copies]")) {
    const said = button.nextElementSibling;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = document.getElementById(button.dataset.copies).textContent;
      const became = await navigator.clipboard.writeText(text).then(() => "yes", () => "no");
      said.textContent = said.dataset[became];
    });
  }
})();
