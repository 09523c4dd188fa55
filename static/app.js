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

  // News of a part of the page would take away what somebody is doing there: a menu that is open, a question that is
  // asked, a sentence that has just come of what was pressed, a request on its way. They wait until then.
  const BUSY = ".menu[open], .ask, [data-said], .notice:focus-within, .htmx-request";
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
  document.addEventListener("toggle", (event) => { if (event.target.matches(".menu")) goOn(); }, true);
  const timed = new WeakSet();
  const letRead = () => {
    for (const said of document.querySelectorAll("[data-said]")) {
      if (timed.has(said)) continue;
      timed.add(said);
      setTimeout(() => {
        delete said.dataset.said;
        if (said.matches(".toast")) said.remove();
        goOn();
      }, TO_READ);
    }
  };
  document.addEventListener("htmx:afterSettle", letRead);
  letRead();
  // A toast without anything to press gives way to another toast alone.
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const { target, fragment } = event.detail;
    if (target.id === "toasts" && $("[data-said]", target) && !$(".toast", fragment)) event.detail.shouldSwap = false;
  });
  // A key may press a button of the menu that has just come.
  document.addEventListener("htmx:afterRequest", () => { if (waiting.size) setTimeout(goOn, 100); });
  document.addEventListener("click", (event) => {
    const menu = event.target.closest(".row-menu button") && event.target.closest("details");
    if (menu) menu.open = false;
  });

  // A mailbox that is away (503) is said in a part of the page that names how it is put there; what a proxy says is not.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr } = event.detail;
    if (xhr.status === 503 && xhr.getResponseHeader("HX-Reswap")) event.detail.shouldSwap = true;
  });

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

  // ---- The composer: cleared at once, filled again if the message was not taken.
  const grow = (field) => {
    if (CSS.supports("field-sizing", "content")) return;
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight}px`;
  };
  document.addEventListener("input", (event) => {
    if (event.target.matches(".composer textarea")) grow(event.target);
  });
  document.addEventListener("taken-over", (event) => { if (event.target.matches(".composer textarea")) grow(event.target); });
  // What was written waits here until its turn: htmx sends one after the other. A text that goes out
  // again unchanged keeps its token, by which the server knows that it is the same message.
  const outbox = [];
  const chosenFor = new Map();
  let notSent = {};
  const newToken = () => {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 15) | 64;
    bytes[8] = (bytes[8] & 63) | 128;
    return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  };
  const composer = $(".composer");
  if (composer) composer.noValidate = true;
  // Nothing goes without a file that was chosen for it.
  document.addEventListener("submit", (event) => {
    if (!event.submitter?.matches("[data-send]") || !$(".upload[data-busy]", event.target)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    $("#files-wait").hidden = false;
  }, true);
  document.addEventListener("submit", (event) => {
    if (!event.target.matches(".composer") || !window.htmx) return;
    const field = $("textarea", event.target);
    const text = field.value;
    const items = [...$("#files", event.target).children];
    const file = items.flatMap((item) => [...item.querySelectorAll("[name=file]:not([type=checkbox]:not(:checked))")]).map((input) => input.value);
    if (!text.trim() && !file.length) {
      event.preventDefault();
      return event.stopPropagation();
    }
    const again = text === notSent.text && file.join() === notSent.file;
    const token = again ? notSent.token : newToken();
    const preview = window.takePreview?.(token) ?? "";
    outbox.push({ text, file, token, preview, ...(window.takeReply?.(token) ?? { in_reply_to: "" }) });
    chosenFor.set(token, { items, file: file.join() });
    for (const item of items) item.remove();
    field.value = "";
    grow(field);
    // Afterwards: htmx forgets which button it was when the focus leaves it.
    const menu = event.submitter?.closest("details.menu");
    if (menu) setTimeout(() => {
      if (menu.contains(document.activeElement)) $("summary", menu).focus();
      menu.open = false;
    });
  }, true);
  document.addEventListener("htmx:configRequest", (event) => {
    if (!event.detail.elt.matches(".composer")) return;
    Object.assign(event.detail.parameters, outbox.shift());
    delete event.detail.parameters.files;
    // The time is for this message alone.
    event.detail.elt.elements.when.value = "";
    follow = true;
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const { elt, requestConfig, successful, xhr } = event.detail;
    if (!elt.matches(".composer")) return;
    $("#not-sent").hidden = successful || xhr.status === 422 || xhr.status === 401;
    $("#signed-out").hidden = xhr.status !== 401;
    window.settleReply?.(requestConfig.parameters.token, successful);
    window.settlePreview?.(requestConfig.parameters.token, successful);
    if (successful) {
      chosenFor.delete(requestConfig.parameters.token);
      // A page in the middle of a conversation does not show what is written at its end.
      const newest = $("#newer [data-newest]");
      if (newest && !outbox.length) location.assign(newest.href);
      return;
    }
    elt.elements.when.value = requestConfig.parameters.when ?? "";
    follow = false;
    const { text, token } = requestConfig.parameters;
    const { items, file } = chosenFor.get(token);
    notSent = { text, token, file };
    $("#files").prepend(...items);
    const field = $("textarea", elt);
    field.value = [text, field.value].filter(Boolean).join("\n");
    grow(field);
  });

  // Where a topic that began goes on, unless something is still to be sent from here.
  document.addEventListener("topic-begun", (event) => { if (!outbox.length) location.assign(event.detail.address); });

  document.addEventListener("keydown", (event) => { if (event.key === "Escape") closeMenus(); });

  if ("serviceWorker" in navigator && document.body.dataset.events) {
    // Refused in some private windows; pages work without it.
    navigator.serviceWorker.register("/service-worker.js").catch(() => {});
  }

  // ---- Live: events name what changed; the page asks for it again. They are hints, so after any gap
  // the page catches up with "caught-up" rather than trusting that it heard everything.
  const address = document.body.dataset.events;
  if (!address || !window.EventSource) return;
  const banner = $("#offline");
  let stream, timer, wait = 2000, asked = false;
  const tell = (name, detail) => window.htmx?.trigger(document.body, name, detail);
  const lost = () => { timer ??= setTimeout(() => { banner.hidden = false; }, 4000); };
  const found = () => { clearTimeout(timer); timer = undefined; wait = 2000; banner.hidden = true; };

  const open = () => {
    stream?.close();
    stream = new EventSource(address);
    stream.addEventListener("ready", () => { found(); asked = true; tell("caught-up"); });
    for (const name of ["conversations", "settings", "kept-aside", "answers", "custody"]) stream.addEventListener(name, () => tell(name));
    const conversation = $("#news")?.dataset.event;
    if (conversation) stream.addEventListener(conversation, () => tell("news"));
    const draft = $("#draft-state")?.dataset.event;
    if (draft) stream.addEventListener(draft, () => tell("draft"));
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
