// What people do with a message: what they are in the middle of stays, and the keyboard stays where it was.
(() => {
  "use strict";
  // News of a message would take away the form that is being filled in, or the menu that is open.
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    if (event.detail.target?.matches?.(".msg") && event.detail.target.querySelector(".edit, .ask, .menu[open]")) event.detail.shouldSwap = false;
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    if (!event.target.matches?.(".msg") || event.detail.requestConfig?.elt.id === "news") return;
    // With its buttons, and not under the composer.
    if (event.target.querySelector(".edit, .ask")) event.target.scrollIntoView({ block: "nearest" });
    if (document.activeElement === document.body) event.target.querySelector("[autofocus], .menu > summary")?.focus();
  });
  // In the place of a quote; the server says the same where it still knows of the answer.
  const noLongerHere = () => {
    const words = Object.assign(document.createElement("span"), { textContent: document.querySelector("#thread").dataset.notHere });
    const quote = Object.assign(document.createElement("p"), { className: "quote" });
    quote.append(words);
    return quote;
  };
  // What is gone leaves the page whatever was begun with it, and so does what is known of it. The server says so also of what
  // the page has just taken away itself.
  document.addEventListener("gone", (event) => {
    for (const id of event.detail.ids) {
      const message = document.querySelector(`#thread > [id^="m${id}"]`);
      const goesOn = message?.contains(document.activeElement);
      message?.remove();
      for (const quote of document.querySelectorAll(`#thread a.quote[href*="${id}"]`)) quote.replaceWith(noLongerHere());
      for (const result of document.querySelectorAll(`.found li:has(> .row[href*="#m${id}"])`)) result.remove();
      if (goesOn) document.querySelector("#text")?.focus({ preventScroll: true });
      document.querySelector(`#side a[hx-get][href*="#m${id}"]`)?.click();
    }
  });
  // ---- An open menu stands in the window, not in what scrolls: below its button, above it where there is no room, or over it.
  // Anchors of a style sheet could say so, but WebKit 26 puts such a menu past the window's edge, and keeps the styles of the
  // width before wherever one is.
  const place = (menu) => {
    const list = menu.querySelector(".menu__list");
    const { width, height } = list.getBoundingClientRect();
    const button = menu.querySelector("summary").getBoundingClientRect();
    const [tops, lefts] = [[button.bottom, button.top - height], [button.left, button.right - width]];
    if (Boolean(menu.closest(".msg--own")) !== (document.documentElement.dir === "rtl")) lefts.reverse();
    const fit = (places, size, room) => places.find((at) => at >= 0 && at + size <= room) ?? Math.max(0, Math.min(places[0], room - size));
    list.style.top = `${fit(tops, height, innerHeight)}px`;
    list.style.left = `${fit(lefts, width, innerWidth)}px`;
  };
  const placeAll = () => { for (const menu of document.querySelectorAll(".msg .menu[open]")) place(menu); };
  // Its content comes once it is open.
  const grown = new ResizeObserver(placeAll);
  document.addEventListener("toggle", ({ target }) => {
    if (!target.matches(".msg .menu")) return;
    const list = target.querySelector(".menu__list");
    if (target.open) { place(target); grown.observe(list); } else grown.unobserve(list);
  }, true);
  // It goes with its button, and closes where that leaves the view, unless somebody is busy in it.
  const goWith = (menu) => {
    const { top, bottom } = menu.getBoundingClientRect();
    const around = menu.closest(".pane__scroll").getBoundingClientRect();
    if (bottom > Math.max(around.top, 0) && top < Math.min(around.bottom, innerHeight)) place(menu);
    else if (!menu.querySelector(".menu__list :focus")) menu.open = false;
  };
  document.addEventListener("scroll", () => {
    for (const menu of document.querySelectorAll(".msg .menu[open]")) goWith(menu);
  }, { capture: true, passive: true });
  addEventListener("resize", placeAll);

  // Replying leads away from the menu, and so does what is known of the message.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const menu = event.detail.elt.closest(".msg .menu");
    if (menu && ["composer-reply", "side"].includes(event.detail.target.id)) menu.open = false;
  });

  // Leaves what was begun with a message, a reply or an edit, and then the message field. What was typed is not thrown away by
  // one key: the way out of it has the focus then.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open]")) return;
    const form = event.target.closest?.(".msg .edit, .msg .ask, .composer");
    const out = form?.querySelector(form.matches(".composer") ? "[data-no-reply]" : ".btn-row a");
    if (!out && event.target.id === "text") event.target.blur();
    if (!out) return;
    event.preventDefault();
    const field = form.matches(".edit") && form.querySelector("textarea");
    if (field && field.value !== field.defaultValue && document.activeElement !== out) out.focus();
    else out.click();
  });

  // In an empty field there is nothing above: the key leads to what one wrote last.
  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (key !== "ArrowUp" || target.id !== "text" || target.value || event.defaultPrevented) return;
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const reply = [...document.querySelectorAll('#thread > .msg--own [hx-target="#composer-reply"]')].at(-1);
    if (!reply) return;
    event.preventDefault();
    const edit = reply.getAttribute("hx-get").replace(/reply\/$/, "edit/");
    window.htmx?.ajax("GET", edit, { source: reply.closest(".msg"), target: reply.closest(".msg"), swap: "outerHTML" });
  });

  // Milliseconds that a sentence of a few words is read in.
  const LONG_ENOUGH = 6000;
  let shown;
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const said = await navigator.clipboard.writeText(button.closest(".msg").querySelector(".text").textContent).then(() => "yes", () => "no");
    button.closest("details").open = false;
    const copied = document.querySelector("#copied");
    copied.textContent = copied.dataset[said];
    clearTimeout(shown);
    shown = setTimeout(() => { copied.textContent = ""; }, LONG_ENOUGH);
  });
})();
