// A conversation opens from the list in the place of what the pane shows, and the rest of the page stays. Everything
// that would not do so by itself, such as a link in a new tab, goes on as a link does.
(() => {
  "use strict";
  const $ = (selector, within = document) => within.querySelector(selector);

  // ---- What a script does for a pane it does again for the next one. The signal says that a pane is gone.
  const begins = [];
  let here = new AbortController();
  window.eachPane = (begin) => { begins.push(begin); begin(here.signal); };

  // Half of a file belongs to this page; leaving it is up to the browser then.
  const HALFWAY = ".upload[data-busy]";

  const idOf = (row) => row.getAttribute("href").split("/").at(-2);
  const mark = () => {
    const open = $("#open").value;
    for (const row of document.querySelectorAll("#convos a.row")) {
      if (idOf(row) === open) row.setAttribute("aria-current", "page");
      else row.removeAttribute("aria-current");
    }
  };

  // ---- Leaving: forms that are on their way are waited for, and what is being written is kept first. What was refused, or
  // cannot be kept, is not left, unless somebody asks for it once more.
  let wanted, refused, timer, before = "";
  const places = () => [$("#pane"), $("#side")].filter(Boolean);
  const stay = () => {
    wanted = undefined;
    clearTimeout(timer);
    for (const place of places()) place.inert = false;
    $("#pane").removeAttribute("aria-busy");
    $("#open").value = before;
    mark();
  };
  const sent = (pane) => new Promise((resolve) => {
    let good = true;
    const look = () => {
      if (!$("form.htmx-request", pane)) return resolve(good);
      document.addEventListener("htmx:afterRequest", ({ detail }) => {
        if (detail.elt.matches("form") && pane.contains(detail.elt)) good &&= detail.successful;
        setTimeout(look);
      }, { once: true });
    };
    look();
  });
  const leave = async (pane) => {
    const waits = [];
    const good = await sent(pane);
    document.dispatchEvent(new CustomEvent("pane-leaving", { detail: { waits } }));
    return (await Promise.all(waits)).every(Boolean) && good;
  };

  // ---- Why another one did not open is said beside the list, where it can be asked for again. Nobody waits for longer than
  // this, before what is left is kept or after.
  const LONGEST = 15000;
  const inTime = (what) => Promise.race([what, new Promise((late) => { setTimeout(late, LONGEST); })]);
  const giveUp = (row, why) => {
    const notice = $("#not-opened");
    window.htmx.trigger("#opener", "htmx:abort");
    stay();
    for (const name of notice.querySelectorAll("bdi")) name.textContent = $(".row__name bdi", row).textContent;
    for (const words of notice.querySelectorAll("[data-why]")) words.hidden = !words.dataset.why.split(" ").includes(why);
    $("a", notice).href = row.getAttribute("href");
    notice.hidden = false;
  };

  // What cannot come into the pane comes as a page; without a network that would be none, and this one would be gone.
  const openAlone = (row) => {
    if (navigator.onLine) location.assign(row.getAttribute("href"));
    else giveUp(row, "offline");
  };

  document.addEventListener("draft-kept", () => { if ($("#not-opened > [data-why='unkept']:not([hidden])")) $("#not-opened").hidden = true; });

  // What was asked for beside the conversation that goes, such as a drawer, would come beside the next one.
  const beside = new Set();
  document.addEventListener("htmx:beforeSend", ({ detail }) => { if (detail.target.id === "side") beside.add(detail.xhr); });
  document.addEventListener("htmx:afterRequest", ({ detail }) => beside.delete(detail.xhr));

  // ---- The list alone does without the styles and scripts of a conversation: they come once somebody points at one.
  let parts;
  const comes = (part) => new Promise((done, failed) => {
    const element = document.importNode(part);
    // One after the other, as the page has them.
    if (element.matches("script")) element.async = false;
    element.addEventListener("load", done);
    element.addEventListener("error", failed);
    document.head.append(element);
  });
  const haveParts = () => {
    const all = [...($("#parts")?.content.children ?? [])];
    parts ??= Promise.all(all.map(comes)).then(() => true, () => false);
    return parts;
  };
  for (const name of ["pointerover", "focusin"]) {
    document.addEventListener(name, (event) => { if (event.target.closest?.("#convos")) haveParts(); });
  }

  const open = async (row) => {
    const pane = $("#pane");
    const address = row.getAttribute("href");
    const complete = haveParts();
    const mine = wanted = { row };
    clearTimeout(timer);
    // Nothing is begun any more in what is about to go.
    if (!pane.inert) before = $("#open").value;
    for (const place of places()) place.inert = true;
    for (const xhr of beside) xhr.abort();
    beside.clear();
    pane.setAttribute("aria-busy", "true");
    $("#not-opened").hidden = true;
    $("#open").value = idOf(row);
    mark();
    const good = await inTime(leave(pane));
    if (wanted !== mine) return;
    if (!good && refused !== address) {
      refused = address;
      return giveUp(row, good === undefined ? "late" : "unkept");
    }
    timer = setTimeout(giveUp, LONGEST, row, "late");
    const isComplete = await complete;
    if (wanted !== mine) return;
    // What is still on its way, and was waited for in vain, goes out as a page goes.
    if (!isComplete || $("form.htmx-request", pane)) return openAlone(row);
    // What fails is told by the events below.
    window.htmx.ajax("GET", address, { source: "#opener", target: "#pane", swap: "outerHTML" }).catch(() => {});
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest("#convos a.row, #not-opened a");
    const pane = $("#pane");
    if (!link || !pane || !window.htmx || $(HALFWAY, pane)) return;
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    // What is open already is loaded anew.
    if (link.getAttribute("href") === current()) return;
    const row = link.matches(".row") ? link : $(`#convos a.row[href="${CSS.escape(link.getAttribute("href"))}"]`);
    if (!row) return;
    event.preventDefault();
    if (row !== link) row.focus({ preventScroll: true });
    open(row);
  });
  addEventListener("pageshow", (event) => { if (event.persisted && $("#pane")?.inert) stay(); });

  const isOfPane = (event) => event.detail.elt?.id === "opener" || event.detail.requestConfig?.elt.id === "opener";

  // Anything but a conversation is shown as a page of its own.
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    if (!isOfPane(event)) return;
    clearTimeout(timer);
    if (event.detail.xhr.getResponseHeader("HX-Push-Url")) return;
    event.preventDefault();
    location.assign(event.detail.requestConfig.path);
  });
  let hadText = false;
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (!isOfPane(event)) return;
    hadText = Boolean($("#pane textarea[name=text]")?.value);
    here.abort();
    here = new AbortController();
    $("#side")?.remove();
  });
  for (const name of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(name, (event) => { if (isOfPane(event) && wanted) openAlone(wanted.row); });
  }

  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.id === "list" || event.detail.requestConfig?.elt.closest?.("#more-rows")) mark();
    if (event.target.id !== "pane") return;
    $("#main").dataset.view = "main";
    for (const begin of begins) begin(here.signal);
    $("#open").value = event.target.dataset.open;
    mark();
    refused = undefined;
    // Unless somebody went elsewhere meanwhile.
    const at = document.activeElement;
    if (!at || at === document.body || at.closest("#convos")) $("#thread-title").focus({ preventScroll: true });
    // Somebody looks at it now, and what came meanwhile is asked for; the list says where a draft is kept.
    for (const name of ["news", "draft"]) window.htmx.trigger(document.body, name);
    if (hadText || $("#text")?.value) window.htmx.trigger(document.body, "conversations");
  });

  // ---- Back and forward within one conversation, as from a link to a part of it, need no other page. htmx would load it.
  const current = () => location.pathname + location.search;
  let shown = current();
  document.addEventListener("htmx:pushedIntoHistory", () => { shown = current(); });
  // Nor does the way back from a drawer, which leads to the message that it was about.
  let withoutDrawer;
  window.eachPane(() => { withoutDrawer = $("#side")?.hidden ? current() : undefined; });
  const putDrawerAway = (address) => {
    const at = document.activeElement;
    const isLeft = !at || at === document.body || at.closest("#side");
    for (const xhr of beside) xhr.abort();
    $("#side").replaceWith(Object.assign(document.createElement("div"), { id: "side", hidden: true }));
    const link = $(`#thread .msg__meta a[href="${CSS.escape(address)}"]`);
    if (isLeft && link) (link.checkVisibility() ? link : $("summary", link.closest(".msg")))?.focus();
  };
  addEventListener("popstate", (event) => {
    event.stopImmediatePropagation();
    const before = shown;
    if (current() === before) return;
    if (current() !== withoutDrawer) return location.reload();
    shown = withoutDrawer;
    putDrawerAway(before);
  }, true);
})();
