// The keyboard goes on where it was: what closes, or gives its place to something else, hands the focus on.
(() => {
  "use strict";
  const $ = (selector, within = document) => within.querySelector(selector);
  const OPERABLE = ":is(a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']):not(:disabled, [tabindex='-1'])";
  const isShown = (element) => element.checkVisibility?.() ?? true;
  const firstIn = (place) => place && [...place.querySelectorAll(OPERABLE)].find(isShown);
  const isLost = () => !document.activeElement || document.activeElement === document.body;
  const summaryAround = (element) => $("summary", element.closest("details.menu[open]") ?? document.createElement("div"));

  // ---- A page that comes back with a field to mend goes on there.
  if (isLost()) $("main [aria-invalid='true']")?.focus();

  // ---- Menus: before they close, the focus goes to what opens them.
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") summaryAround(document.activeElement)?.focus();
  }, true);
  document.addEventListener("click", (event) => {
    if (!event.target.closest(".row-menu button, .menu [data-key='e'], .menu [data-copy]")) return;
    summaryAround(document.activeElement)?.focus({ preventScroll: true });
  }, true);
  // The button for a theme hides itself, since it would change nothing more.
  document.addEventListener("submit", (event) => {
    if (event.submitter?.dataset.themeChoice && !isShown(event.submitter)) firstIn(event.submitter.parentElement)?.focus();
  });

  // ---- What htmx takes away: where the focus was, as far as that can be found again afterwards.
  let trail;
  // What means the same as a control, once it is there anew.
  const twinOf = (at) => {
    const is = (name, value) => `[${name}="${CSS.escape(value)}"]`;
    if (at.dataset.key) return is("data-key", at.dataset.key);
    if (at.matches("a[href]")) return is("href", at.getAttribute("href"));
    const form = at.form?.hasAttribute("action") ? `form${is("action", at.form.getAttribute("action"))} ` : "";
    if (at.matches("button[name]")) return `${form}${is("name", at.name)}${is("value", at.value)}`;
    return form && at.matches("button") ? `${form}button` : undefined;
  };
  const follow = (place) => {
    const at = document.activeElement;
    if (isLost() || !place?.contains?.(at)) return;
    const ids = [];
    for (let around = at; around && !around.matches(".pane, main, body"); around = around.parentElement) {
      if (around.id) ids.push(around.id);
    }
    const rows = [...document.querySelectorAll("#convos > li")];
    // What is undone in the list comes back to it.
    const row = at.closest("#list-toasts") ? 0 : rows.findIndex((one) => one.contains(at));
    trail = { at, ids, twin: twinOf(at), row, address: $(".row", rows[row])?.getAttribute("href"), menu: at.closest("details.row-menu") };
  };
  const rowAt = (index) => {
    const rows = document.querySelectorAll("#convos .row");
    return rows[Math.min(index, rows.length - 1)] ?? firstIn($("#list")) ?? $(".tabs [aria-current]");
  };
  // The row that had the focus, or whose menu had it, while it is there.
  const sameRow = () => {
    const row = $(`#convos > li:has(> .row[href="${CSS.escape(trail.address ?? "")}"])`);
    if (trail.at.matches(".row")) return row && $(".row", row);
    return trail.at.matches("summary") ? row && $("summary", row) : undefined;
  };
  // What has come into the menu of a row that somebody opened a moment ago, or that changed as it was open.
  const inRowMenu = () => {
    const list = trail.menu?.isConnected && trail.menu.open && $(".menu__list", trail.menu);
    return list ? (trail.twin && $(trail.twin, list)) || firstIn(list) : undefined;
  };
  const heir = () => {
    if (trail.at.isConnected && isShown(trail.at) && !trail.at.disabled) return trail.at;
    if (trail.row >= 0) return inRowMenu() ?? sameRow() ?? rowAt(trail.row);
    for (const place of trail.ids.map((id) => document.getElementById(id)).filter(Boolean)) {
      const found = (trail.twin && $(trail.twin, place)) || firstIn(place) || (place.tabIndex === -1 && place.hasAttribute("tabindex") && place);
      if (found) return found;
    }
    const text = $("#text");
    return text && isShown(text) ? text : firstIn($(".composer")) ?? firstIn($("main"));
  };
  const handOn = () => {
    if (!trail || !isLost()) return;
    heir()?.focus({ preventScroll: true });
  };
  document.addEventListener("htmx:beforeRequest", (event) => follow(event.detail.elt));
  // News come unasked, and a key may be pressed in the very moment: it has to find the control that is there now.
  let unasked = false;
  const handOnAtOnce = () => { if (unasked) handOn(); };
  document.addEventListener("htmx:beforeSwap", (event) => {
    unasked = event.detail.requestConfig.elt.matches("[hx-trigger*='caught-up']");
    follow(event.detail.target);
  });
  document.addEventListener("htmx:oobBeforeSwap", (event) => follow(event.detail.target));
  document.addEventListener("htmx:afterSwap", handOnAtOnce);
  document.addEventListener("htmx:oobAfterSwap", handOnAtOnce);
  // After those who know better where it belongs.
  document.addEventListener("htmx:afterSettle", () => setTimeout(handOn));
  document.addEventListener("htmx:oobAfterSwap", () => setTimeout(handOn, 100));
  // A button that could not be pressed while its request ran.
  document.addEventListener("htmx:afterRequest", () => { if (trail?.at.isConnected) handOn(); });
  // Who goes elsewhere is left there, also where that is nowhere, as when a dialog closes. What is taken away or disabled loses
  // the focus as well, but cannot be gone back to a moment later.
  document.addEventListener("focusout", ({ target }) => setTimeout(() => {
    if (trail?.at === target && target.isConnected && !target.disabled && isLost()) trail = undefined;
  }));
  document.addEventListener("pointerdown", () => { trail = undefined; });
  document.addEventListener("focusin", (event) => { if (trail && event.target !== trail.at) trail = undefined; });
})();
