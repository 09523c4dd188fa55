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

  const mark = () => {
    const open = $("#open").value;
    for (const row of document.querySelectorAll("#convos a.row")) {
      if (row.id === `row-${open}`) row.setAttribute("aria-current", "page");
      else row.removeAttribute("aria-current");
    }
  };

  // ---- Leaving: forms that are on their way are waited for, and what is being written is kept first. What was refused, or
  // cannot be kept, is not left, unless somebody asks for it once more.
  let wanted, refused, before = "";
  const stay = () => {
    const pane = $("#pane");
    pane.inert = false;
    pane.removeAttribute("aria-busy");
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
  const open = async (row) => {
    const pane = $("#pane");
    const address = wanted = row.getAttribute("href");
    // Nothing is begun any more in what is about to go.
    if (!pane.inert) before = $("#open").value;
    pane.inert = true;
    pane.setAttribute("aria-busy", "true");
    $("#open").value = row.id.replace("row-", "");
    mark();
    const good = await leave(pane);
    if (wanted !== address) return;
    if (!good && refused !== address) {
      refused = address;
      return stay();
    }
    // What fails is told by the events below.
    window.htmx.ajax("GET", address, { source: "#opener", target: "#pane", swap: "outerHTML" }).catch(() => {});
  };

  document.addEventListener("click", (event) => {
    const row = event.target.closest("#convos a.row");
    const pane = $("#pane");
    if (!row || !pane || !window.htmx || $(HALFWAY, pane)) return;
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    // What is open already is loaded anew.
    if (row.getAttribute("href") === location.pathname + location.search) return;
    event.preventDefault();
    open(row);
  });
  addEventListener("pageshow", (event) => { if (event.persisted && $("#pane")?.inert) stay(); });

  const isOfPane = (event) => event.detail.elt?.id === "opener" || event.detail.requestConfig?.elt.id === "opener";

  // Anything but a conversation is shown as a page of its own.
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    if (!isOfPane(event) || event.detail.xhr.getResponseHeader("HX-Push-Url")) return;
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
    document.addEventListener(name, (event) => { if (isOfPane(event)) location.assign(event.detail.requestConfig.path); });
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

  // A page that leads back here leads to what is open now.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-comes-back]");
    if (!link) return;
    const address = new URL(link.href);
    address.searchParams.set("next", location.pathname + location.search);
    link.href = address;
  }, true);
})();
