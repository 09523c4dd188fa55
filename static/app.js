// Everything here shortens the way; pages work without it. No page state is kept in this file.
(() => {
  "use strict";
  const root = document.documentElement;
  const $ = (selector, within = document) => within.querySelector(selector);
  const YEAR = 31536000;

  const setCookie = (name, value, seconds = YEAR) => {
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `${name}=${encodeURIComponent(value)}; Path=/; Max-Age=${seconds}; SameSite=Lax${secure}`;
  };

  // ---- Time zone and theme: cookies that the server reads, so that nothing moves after loading.
  setCookie("zone", Intl.DateTimeFormat().resolvedOptions().timeZone);

  let chosen = Promise.resolve();
  document.addEventListener("submit", (event) => {
    const theme = event.submitter?.dataset.themeChoice;
    if (!theme) return;
    event.preventDefault();
    if (theme === "system") delete root.dataset.theme;
    else root.dataset.theme = theme;
    setCookie("theme", theme, theme === "system" ? 0 : YEAR);
    // The server keeps it too, one choice after the other: Safari forgets after a week what a script has kept.
    const body = new FormData(event.target, event.submitter);
    chosen = chosen.then(() => fetch(event.target.action, { method: "POST", body, redirect: "manual", keepalive: true })).catch(() => {});
  });

  // Keys that compose a letter, or confirm it, are the input method's, and none of the page's. Of the one that confirms, WebKit
  // tells by 229 alone.
  addEventListener("keydown", (event) => { if (event.isComposing || event.keyCode === 229) event.stopPropagation(); }, true);

  // Menus close when the next thing is clicked, or with Escape.
  const closeMenus = (except) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) if (menu !== except) menu.open = false;
  };
  const closeOthers = (event) => closeMenus(event.target.closest("details.menu"));
  document.addEventListener("click", closeOthers);
  // On an iPhone a finger on what is neither link nor button makes no click.
  document.addEventListener("pointerup", (event) => { if (event.pointerType === "touch") closeOthers(event); });

  // News of a part of the page would take away what somebody is doing there: a menu or a form that is open, a question
  // that is asked, a sentence that has just come of what was pressed, a request on its way, what is pressed and not let go
  // yet. They wait until then.
  const BUSY = ".menu[open], .more[open] form, .ask, [data-said], .notice:focus-within, .htmx-request, :active";
  const TO_READ = 20000;
  const PLACE = "[hx-trigger*='caught-up']";
  const waiting = new Set();
  // How often something was done in each place; news that were asked for before the last time are too old.
  const done = new WeakMap();
  const doneBefore = new WeakMap();
  document.addEventListener("htmx:beforeRequest", (event) => {
    const { elt, xhr, requestConfig } = event.detail;
    const place = elt.closest(PLACE);
    if (place === elt) doneBefore.set(xhr, done.get(place));
    else if (place && requestConfig.verb !== "get") done.set(place, (done.get(place) ?? 0) + 1);
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { target, xhr, requestConfig } = event.detail;
    if (requestConfig.elt !== target || !target.matches(PLACE)) return;
    if (!$(BUSY, target) && doneBefore.get(xhr) === done.get(target)) return;
    event.detail.shouldSwap = false;
    waiting.add(target);
  });
  const goOn = () => {
    const ready = [...waiting].filter((place) => !$(BUSY, place));
    for (const place of ready) waiting.delete(place);
    if (ready.some((place) => place.isConnected)) window.htmx?.trigger(document.body, "caught-up");
  };
  document.addEventListener("toggle", (event) => { if (event.target.matches(".menu, .more")) goOn(); }, true);
  const timed = new WeakSet();
  const letRead = () => {
    for (const said of document.querySelectorAll("[data-said]")) {
      if (timed.has(said)) continue;
      timed.add(said);
      const isRead = () => {
        // The keyboard is at its button.
        if (said.matches(".toast:focus-within")) return setTimeout(isRead, TO_READ);
        delete said.dataset.said;
        if (said.matches(".toast")) said.remove();
        goOn();
      };
      setTimeout(isRead, TO_READ);
    }
  };
  document.addEventListener("htmx:afterSettle", letRead);
  letRead();
  // A toast that says what was done gives way to another toast alone.
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const { target, fragment } = event.detail;
    if (target.id === "toasts" && $("[data-said]", target) && !$(".toast", fragment)) event.detail.shouldSwap = false;
  });
  // A key may press a button of the menu that has just come; what was let go is still to do what it does.
  for (const name of ["htmx:afterRequest", "pointerup", "pointercancel", "dragend", "keyup"]) {
    document.addEventListener(name, () => { if (waiting.size) setTimeout(goOn, 100); });
  }
  // An open menu would lie over what is said of archiving.
  document.addEventListener("click", (event) => {
    const menu = event.target.closest(".row-menu button, .menu [data-key='e']") && event.target.closest("details");
    if (menu) menu.open = false;
  });

  // A mailbox that is away (503) is said in a part of the page that names how it is put there; what a proxy says is not.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr } = event.detail;
    if (xhr.status === 503 && xhr.getResponseHeader("HX-Reswap")) event.detail.shouldSwap = true;
  });

  // Back to the field, unless somebody writes elsewhere by now.
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.id === "chips" && document.activeElement === document.body) $("#who")?.focus();
  });
  document.addEventListener("person-added", (event) => {
    if ($("#who").value === event.detail.typed) $("#who").value = "";
  });

  // A filter that is taken away is taken out of the field as well.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-query]");
    const field = $("#search");
    if (!button || !field || !window.htmx) return;
    event.preventDefault();
    field.value = button.value;
    field.focus();
    field.form.requestSubmit();
  });

  // The key is not for what stands around the menu as well.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !$("details.menu[open]")) return;
    closeMenus();
    event.preventDefault();
  });

  if ("serviceWorker" in navigator && document.body.dataset.events) {
    // Refused in some private windows; pages work without it.
    navigator.serviceWorker.register("/service-worker.js").catch(() => {});
  }

  // ---- Live: events name what changed; the page asks for it again. They are hints, so after any gap
  // the page catches up with "caught-up" rather than trusting that it heard everything.
  const address = document.body.dataset.events;
  // Without a sign-in the icon of the app says nothing.
  if (!address) navigator.clearAppBadge?.().catch(() => {});
  if (!address || !window.EventSource) return;
  const banner = $("#offline");
  let stream, names, timer, wait = 2000, asked = false;
  const tell = (name, detail) => window.htmx?.trigger(document.body, name, detail);
  const lost = () => { timer ??= setTimeout(() => { banner.hidden = false; }, 4000); };
  const found = () => { clearTimeout(timer); timer = undefined; wait = 2000; banner.hidden = true; };

  // What the pane shows has events of its own, by its names; those of what it showed before say nothing here.
  const heard = [["#news", "news"], ["#draft-state", "draft"]];
  const listen = () => {
    for (const [place, name] of heard) {
      const event = $(place)?.dataset.event;
      if (!event || names.has(event)) continue;
      names.add(event);
      stream.addEventListener(event, () => { if ($(place)?.dataset.event === event) tell(name); });
    }
  };
  const open = () => {
    stream?.close();
    stream = new EventSource(address);
    stream.addEventListener("ready", () => { found(); asked = true; tell("caught-up"); });
    for (const name of ["conversations", "settings", "kept-aside", "mail", "answers", "room", "custody"]) stream.addEventListener(name, () => tell(name));
    // The page goes with the sign-in: what it shows is not for whoever sits there now. Who signs in as somebody else in
    // another tab is about to be answered with the new cookie.
    stream.addEventListener("signed-out", () => {
      stream.close();
      document.body.hidden = true;
      document.dispatchEvent(new Event("signed-out"));
      setTimeout(() => location.reload(), 500);
    });
    names = new Set();
    listen();
    stream.addEventListener("error", () => {
      lost();
      // Without a stream the page still says, once, that somebody looks at it.
      if (!asked) tell("caught-up");
      asked = true;
      // A dropped connection reconnects by itself; an answer that was no stream does not.
      if (stream.readyState !== EventSource.CLOSED) return;
      setTimeout(open, wait);
      wait = Math.min(wait * 2, 60000);
    });
  };
  // Until htmx has looked through the page nobody in it hears what is told; scripts that are still to come keep it waiting.
  document.addEventListener("DOMContentLoaded", () => {
    open();
    window.eachPane(listen);
  });
  addEventListener("offline", () => { banner.hidden = false; });
  addEventListener("online", open);
  addEventListener("pagehide", () => stream?.close());
  addEventListener("pageshow", (event) => { if (event.persisted) open(); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) tell("caught-up"); });
  // Only a page that somebody sees counts as read.
  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.elt.id === "news") event.detail.parameters.seen = document.hidden ? "" : "1";
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.elt.id === "mail-seen" && document.hidden) event.preventDefault();
  });
})();
