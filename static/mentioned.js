// What mentions one and was not seen: how many there are, and the way to the first. The server takes for read what a page has
// shown; here it counts until it was in sight.
(() => {
  "use strict";
  const $ = (selector, within = document) => within.querySelector(selector);
  const MENTIONS = "#thread > .msg[data-unread]:has(.mention--you)";

  // Those of this page that were not in sight, in the order in which they came.
  let waiting = new Set();
  let known = new WeakSet();
  let inSight;

  const say = () => {
    const place = $("#mentioned");
    if (!place) return;
    for (const message of waiting) if (!message.isConnected) waiting.delete(message);
    // The others are counted by the server.
    const read = [...waiting].filter((message) => !("unread" in message.dataset)).length;
    const number = Number($("input", place).value) + read;
    $("[data-number]", place).textContent = number > 99 ? "99+" : number;
    $("a", place).hidden = number === 0;
  };
  const look = () => {
    if (!$("#mentioned")) return;
    for (const message of document.querySelectorAll(MENTIONS)) {
      if (known.has(message)) continue;
      known.add(message);
      waiting.add(message);
      inSight.observe(message);
    }
    say();
  };
  const see = (message) => {
    waiting.delete(message);
    inSight.unobserve(message);
    say();
  };

  window.eachPane((signal) => {
    waiting = new Set();
    known = new WeakSet();
    inSight = new IntersectionObserver((places) => {
      for (const { target, intersectionRatio, intersectionRect, rootBounds } of places) {
        if (intersectionRatio >= 0.6 || (rootBounds && intersectionRect.height > rootBounds.height / 2)) see(target);
      }
    }, { threshold: [0.2, 0.4, 0.6, 0.8] });
    signal.addEventListener("abort", () => inSight.disconnect());
    look();
  });
  document.addEventListener("htmx:afterSettle", look);
  document.addEventListener("htmx:oobAfterSwap", (event) => { if (event.detail.target.id === "mentioned") say(); });
  document.addEventListener("htmx:afterRequest", say);

  document.addEventListener("click", (event) => {
    if (!event.target.closest(".to-mention") || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const [first] = [...waiting].sort((one, other) => (one.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1));
    if (!first) return;
    // It is here already.
    event.preventDefault();
    location.hash = first.id;
    first.tabIndex = -1;
    first.focus({ preventScroll: true });
    see(first);
  });
})();
