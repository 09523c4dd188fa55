// Forms whose answer shows something this once (data-once) are sent once: the answer to a second press would take the
// place of the first, and what stood in it would never be seen.
(() => {
  "use strict";
  // Somebody who stopped the page from coming, or whose network did, can press again.
  const LONGEST = 30000;
  let timer;
  const buttons = () => [...document.querySelectorAll("form[data-once]")].flatMap(({ elements }) => [...elements]).filter(({ type }) => type === "submit");
  const release = () => {
    clearTimeout(timer);
    timer = undefined;
    for (const button of buttons()) button.removeAttribute("aria-disabled");
  };
  // After all that listens in the document, which may have to ask for something first.
  addEventListener("submit", (event) => {
    if (event.defaultPrevented || !event.target.matches("form[data-once]")) return;
    if (timer) return event.preventDefault();
    timer = setTimeout(release, LONGEST);
    for (const button of buttons()) button.setAttribute("aria-disabled", "true");
  });
  // The browser's Back brings the page as it was left.
  addEventListener("pageshow", release);
})();
