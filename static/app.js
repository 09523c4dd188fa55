// Everything here shortens the way; pages work without it. No page state is kept in this file.
(() => {
  "use strict";
  const root = document.documentElement;
  const $ = (selector, within = document) => within.querySelector(selector);
  const YEAR = 31536000;

  const setCookie = (name, value) => {
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `${name}=${encodeURIComponent(value)}; Path=/; Max-Age=${YEAR}; SameSite=Lax${secure}`;
  };

  // ---- Time zone and theme: cookies that the server reads, so that nothing moves after loading.
  setCookie("zone", Intl.DateTimeFormat().resolvedOptions().timeZone);

  document.addEventListener("submit", (event) => {
    const theme = event.submitter?.dataset.themeChoice;
    if (!theme) return;
    event.preventDefault();
    root.dataset.theme = theme;
    setCookie("theme", theme);
  });

  // Menus close when the next thing is clicked, or with Escape.
  const closeMenus = (except) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) if (menu !== except) menu.open = false;
  };
  document.addEventListener("click", (event) => closeMenus(event.target.closest("details.menu")));

  // ---- The thread: start at the first unread message or at the end, and stay at the end when there.
  const scroller = () => $("#thread")?.closest(".pane__scroll");
  const toEnd = (box) => { if (box) box.scrollTop = box.scrollHeight; };
  const isAtEnd = (box) => box && box.scrollHeight - box.scrollTop - box.clientHeight < 120;
  const firstUnread = $("#unread");
  if (location.hash.startsWith("#m")) { /* the browser goes there */ }
  else if (firstUnread) scroller().scrollTop = firstUnread.offsetTop - scroller().clientHeight / 3;
  else toEnd(scroller());

  // What shrinks the pane (a banner, a keyboard, a growing composer) does not push the end out of sight.
  if (scroller()) {
    let atEnd = isAtEnd(scroller());
    scroller().addEventListener("scroll", () => { atEnd = isAtEnd(scroller()); }, { passive: true });
    new ResizeObserver(() => { if (atEnd) toEnd(scroller()); }).observe(scroller());
  }

  let follow = false;
  let heightBefore = 0;
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.requestConfig.elt.id === "news") follow ||= isAtEnd(scroller());
    heightBefore = scroller()?.scrollHeight ?? 0;
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    const box = scroller();
    const { elt } = event.detail.requestConfig;
    if (elt.id === "news" && follow) {
      toEnd(box);
      follow = false;
    }
    // Browsers that do not keep the place themselves when something is put above it.
    if (elt.matches("[data-older]") && box.scrollTop < 80) box.scrollTop += box.scrollHeight - heightBefore;
    // Back to the field, unless somebody writes elsewhere by now.
    if (event.target.id === "chips" && document.activeElement === document.body) $("#who")?.focus();
    if (event.target.id === "side") $("#side h1")?.focus();
  });

  document.addEventListener("person-added", (event) => {
    if ($("#who").value === event.detail.typed) $("#who").value = "";
  });

  // ---- The composer: cleared at once, filled again if the message was not taken.
  const grow = (field) => {
    if (CSS.supports("field-sizing", "content")) return;
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight}px`;
  };
  document.addEventListener("input", (event) => {
    if (event.target.matches(".composer textarea")) grow(event.target);
  });
  // What was written waits here until its turn: htmx sends one after the other. A text that goes out
  // again unchanged keeps its token, by which the server knows that it is the same message.
  const outbox = [];
  let notSent = {};
  const newToken = () => {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 15) | 64;
    bytes[8] = (bytes[8] & 63) | 128;
    return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  };
  const composer = $(".composer");
  if (composer) composer.noValidate = true;
  document.addEventListener("submit", (event) => {
    if (!event.target.matches(".composer") || !window.htmx) return;
    const field = $("textarea", event.target);
    const text = field.value;
    if (!text.trim()) {
      event.preventDefault();
      return event.stopPropagation();
    }
    outbox.push({ text, token: text === notSent.text ? notSent.token : newToken() });
    field.value = "";
    grow(field);
  }, true);
  document.addEventListener("htmx:configRequest", (event) => {
    if (!event.detail.elt.matches(".composer")) return;
    Object.assign(event.detail.parameters, outbox.shift());
    follow = true;
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const { elt, requestConfig, successful, xhr } = event.detail;
    if (!elt.matches(".composer")) return;
    $("#not-sent").hidden = successful || xhr.status === 422;
    if (successful) return;
    follow = false;
    const { text, token } = requestConfig.parameters;
    notSent = { text, token };
    const field = $("textarea", elt);
    field.value = [text, field.value].filter(Boolean).join("\n");
    grow(field);
  });

  // ---- Keys
  const isTyping = (target) => target.closest("input, textarea, select, [contenteditable]");
  const moveInList = (step) => {
    const rows = [...document.querySelectorAll("#convos .row")];
    const at = rows.findIndex((row) => row === document.activeElement);
    const current = at >= 0 ? at : rows.findIndex((row) => row.hasAttribute("aria-current"));
    rows[Math.min(Math.max(current + step, 0), rows.length - 1)]?.focus();
  };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return closeMenus();
    const field = event.target.closest?.("textarea");
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && field && !event.isComposing) {
      event.preventDefault();
      return field.form.requestSubmit($("[data-send]", field.form));
    }
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (event.key === "j") moveInList(1);
    else if (event.key === "k") moveInList(-1);
    else if (event.key === "c") $("[data-compose]")?.click();
    else if (event.key === "r") {
      event.preventDefault();
      $(".composer textarea")?.focus();
    }
  });

  // ---- Live: events name what changed; the page asks for it again. They are hints, so after any gap
  // the page catches up with "caught-up" rather than trusting that it heard everything.
  const address = document.body.dataset.events;
  if (!address || !window.EventSource) return;
  const banner = $("#offline");
  let stream, timer, wait = 2000;
  const tell = (name, detail) => window.htmx?.trigger(document.body, name, detail);
  const lost = () => { timer ??= setTimeout(() => { banner.hidden = false; }, 4000); };
  const found = () => { clearTimeout(timer); timer = undefined; wait = 2000; banner.hidden = true; };

  const open = () => {
    stream?.close();
    stream = new EventSource(address);
    stream.addEventListener("ready", () => { found(); tell("caught-up"); });
    for (const name of ["conversations", "kept-aside"]) stream.addEventListener(name, () => tell(name));
    const conversation = $("#news")?.dataset.event;
    if (conversation) stream.addEventListener(conversation, () => tell("news"));
    stream.addEventListener("error", () => {
      lost();
      // A dropped connection reconnects by itself; an answer that was no stream does not.
      if (stream.readyState !== EventSource.CLOSED) return;
      setTimeout(open, wait);
      wait = Math.min(wait * 2, 60000);
    });
  };
  open();
  addEventListener("offline", () => { banner.hidden = false; });
  addEventListener("online", open);
  addEventListener("pagehide", () => stream?.close());
  addEventListener("pageshow", (event) => { if (event.persisted) open(); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) tell("caught-up"); });
  // Only a page that somebody sees counts as read.
  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.elt.id === "news") event.detail.parameters.seen = document.hidden ? "" : "1";
  });
})();
