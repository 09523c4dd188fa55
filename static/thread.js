// The thread: it starts at the first unread message or at the end, and stays at the end when there.
(() => {
  "use strict";
  const $ = (selector, within = document) => within.querySelector(selector);
  // In a low window, as at 200 %, the whole page scrolls (app.css), but not where the keyboard of a phone makes it low.
  const hasPanes = matchMedia("(min-height: 30.01rem), (max-width: 30rem) and (min-height: 15rem) and (pointer: coarse)");
  const scroller = () => {
    const box = $("#thread")?.closest(".pane__scroll");
    return box && !hasPanes.matches ? document.scrollingElement : box;
  };
  // No message moves away from its open menu; the way to the end is made up for once that closes.
  let behind = false;
  const toEnd = (box) => {
    behind = Boolean($("#thread .menu[open]"));
    if (box && !behind) box.scrollTop = box.scrollHeight;
  };
  document.addEventListener("toggle", ({ target }) => {
    if (behind && target.matches("#thread .menu:not([open])")) toEnd(scroller());
  }, true);
  const isAtEnd = (box) => box && box.scrollHeight - box.scrollTop - box.clientHeight < 120;

  // Whether what comes next is scrolled to, for somebody wrote it.
  let wrote = false;
  let follow = false;
  let heightBefore = 0;
  // What waits to be sent is scrolled to where the thread is higher than this with it.
  let grownFrom = Infinity;
  window.followThread = (wanted) => { wrote = wanted; };

  window.eachPane((signal) => {
    const box = scroller();
    wrote = false;
    if (!box) return;
    const unread = $("#unread");
    if (location.hash.startsWith("#m")) { /* the browser goes there */ }
    else if (unread) box.scrollTop += unread.getBoundingClientRect().top - Math.max(box.getBoundingClientRect().top, 0) - box.clientHeight / 3;
    else toEnd(box);
    // What shrinks the pane (a banner, a keyboard, a growing composer) does not push the end out of sight.
    let atEnd = isAtEnd(box);
    let top = box.scrollTop;
    (hasPanes.matches ? box : document).addEventListener("scroll", () => {
      atEnd = isAtEnd(box);
      // Who goes up to read before it came stays there.
      if (box.scrollTop < top && !atEnd) wrote = behind = false;
      top = box.scrollTop;
    }, { passive: true, signal });
    const size = new ResizeObserver(() => { if (atEnd) toEnd(box); });
    size.observe(box);
    signal.addEventListener("abort", () => size.disconnect());
  });

  // What the server heard was seen, it need not hear again.
  const told = new WeakMap();
  document.addEventListener("htmx:beforeSend", ({ detail }) => {
    const { elt, requestConfig, xhr } = detail;
    if (elt.id === "news" && requestConfig.parameters.seen) told.set(xhr, document.querySelectorAll("#thread > [data-unread]"));
  });
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    if (detail.successful) for (const message of told.get(detail.xhr) ?? []) delete message.dataset.unread;
  });

  document.addEventListener("htmx:beforeSwap", (event) => {
    // Of these news alone: where nothing came, somebody may be elsewhere when something does.
    if (event.detail.requestConfig.elt.id === "news") follow = event.detail.shouldSwap && (wrote || isAtEnd(scroller()));
    if (event.detail.requestConfig.elt.id === "waiting") grownFrom = wrote || isAtEnd(scroller()) ? scroller()?.scrollHeight : Infinity;
    heightBefore = scroller()?.scrollHeight ?? 0;
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    const box = scroller();
    const { elt } = event.detail.requestConfig;
    if (elt.id === "news" && follow) {
      toEnd(box);
      follow = wrote = false;
    }
    if (elt.id === "waiting" && box?.scrollHeight > grownFrom) toEnd(box);
    // Browsers that do not keep the place themselves when something is put above it.
    if (elt.matches("[data-older]") && box.scrollTop < 80) box.scrollTop += box.scrollHeight - heightBefore;
    if (event.target.id === "side") $("#info-title")?.focus();
  });
})();
