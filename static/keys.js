// Keys: what carries data-key="x" is pressed by that key, in the message or row that has the focus.
(() => {
  "use strict";
  const $ = (selector, within = document) => within.querySelector(selector);

  const isTyping = (target) => target.closest("input, textarea, select, [contenteditable]");
  const isOpen = () => document.querySelector("dialog[open]");

  const step = (all, by, current = -1) => {
    const focused = all.findIndex((one) => one === document.activeElement || one.contains(document.activeElement));
    const at = focused >= 0 ? focused : current;
    all[Math.min(Math.max(at + by, 0), all.length - 1)]?.focus();
  };
  const moveInList = (by) => {
    const rows = [...document.querySelectorAll("#convos .row")];
    step(rows, by, rows.findIndex((row) => row.hasAttribute("aria-current")));
  };
  const moveInThread = (by) => {
    const messages = [...document.querySelectorAll("#thread > .msg")];
    for (const message of messages) message.tabIndex = -1;
    step(messages, by, messages.length);
  };

  const KEYS_OF_ROWS = new Set(["p", "m", "e"]);

  // News of the list put another menu in the place of one that is being filled.
  const pressIn = async (menu, selector) => {
    const came = await window.fillMenu(menu);
    const now = menu.isConnected ? undefined : $(`#convos .row-menu[data-address="${CSS.escape(menu.dataset.address)}"]`);
    if (now) pressIn(now, selector);
    else if (came) $(selector, menu)?.click();
  };

  const press = (key) => {
    const selector = `[data-key="${CSS.escape(key)}"]`;
    // What has the focus, else the open conversation; never just some row of the list.
    const around = document.activeElement.closest(".msg, #convos > li") ?? $(".pane--main .pane__head");
    // The menu of a row is empty until it is wanted, and what is in it may have changed since.
    const menu = around && $(".row-menu", around);
    if (menu && KEYS_OF_ROWS.has(key) && !menu.closest("[inert]")) {
      pressIn(menu, selector);
      return true;
    }
    const found = around && $(selector, around);
    if (!found || found.closest("[inert]")) return false;
    found.click();
    return true;
  };

  const MOVES = {
    j: () => moveInList(1),
    k: () => moveInList(-1),
    J: () => moveInThread(1),
    K: () => moveInThread(-1),
    c: () => $("[data-compose]")?.click(),
    n: () => $("#mentioned a:not([hidden])")?.click(),
    r: () => $(".composer textarea")?.focus(),
    "/": () => $("#search")?.focus(),
    "?": () => showHelp(),
  };

  const showHelp = () => {
    const sheet = $("#keys");
    if (!sheet) return;
    if (!sheet.open) sheet.showModal();
    // The focus is on what closes it, at its end.
    sheet.scrollTop = 0;
    window.htmx?.trigger(sheet, "wanted");
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-help]");
    if (!link || !$("#keys") || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    link.closest("details")?.removeAttribute("open");
    showHelp();
  });

  document.addEventListener("keydown", (event) => {
    const field = event.target.closest?.("textarea");
    // What another key of the field has taken, as the choice of whom to mention, is done.
    if (event.key === "Enter" && field && !event.defaultPrevented
      && (event.ctrlKey || event.metaKey || ("enterSends" in field.dataset && !event.shiftKey && !event.altKey))) {
      const send = $("[data-send]", field.form);
      if (!send) return;
      event.preventDefault();
      return field.form.requestSubmit(send);
    }
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || isOpen()) return;
    const move = MOVES[event.key];
    if (move) {
      // What the key would type must not land in the field that it focuses.
      event.preventDefault();
      move();
    } else if (/^[a-z]$/.test(event.key) && press(event.key)) event.preventDefault();
  });
})();
