// A conversation opens from the list in the place of what the pane shows, and the rest of the page stays. Everything
// that would not do so by itself, such as a link in a new tab, goes on as a link does.
(() => {
  "use strict";
  const $ = (selector, within = document) => within.querySelector(selector);

  // ---- What a script does for a pane it does again for the next one. The signal says that a pane is gone.
  const begins = [];
  let here = new AbortController();
  window.eachPane = (begin) => { begins.push(begin); begin(here.signal); };

  // What is on its way, or halfway there, belongs to this page; leaving it is up to the browser then.
  const UNDERWAY = ".composer.htmx-request, .upload[data-busy]";

  const mark = () => {
    const open = $("#open").value;
    for (const row of document.querySelectorAll("#convos a.row")) {
      if (row.id === `row-${open}`) row.setAttribute("aria-current", "page");
      else row.removeAttribute("aria-current");
    }
  };

  document.addEventListener("click", (event) => {
    const row = event.target.closest("#convos a.row");
    const pane = $("#pane");
    if (!row || !pane || !window.htmx || $(UNDERWAY, pane)) return;
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    document.dispatchEvent(new Event("pane-leaving"));
    $("#open").value = row.id.replace("row-", "");
    mark();
    // Nothing is begun any more in what is about to go.
    pane.inert = true;
    // What fails is told by the events below.
    window.htmx.ajax("GET", row.getAttribute("href"), { source: "#opener", target: "#pane", swap: "outerHTML" }).catch(() => {});
  });

  const isOfPane = (event) => event.detail.elt?.id === "opener" || event.detail.requestConfig?.elt.id === "opener";

  // Anything but a conversation is shown as a page of its own.
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    if (!isOfPane(event) || event.detail.xhr.getResponseHeader("HX-Push-Url")) return;
    event.preventDefault();
    location.assign(event.detail.requestConfig.path);
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (!isOfPane(event)) return;
    // An answer to the pane that goes would be put into the one that comes.
    for (const asking of $("#pane").querySelectorAll(".htmx-request")) window.htmx.trigger(asking, "htmx:abort");
    here.abort();
    here = new AbortController();
    $("#side")?.remove();
  });
  for (const name of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(name, (event) => { if (isOfPane(event)) location.assign(event.detail.requestConfig.path); });
  }

  // The list comes again with as many rows as it had.
  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.elt.id === "list") event.detail.parameters.shown = document.querySelectorAll("#convos .row").length;
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.id === "list" || event.detail.requestConfig?.elt.closest?.("#more-rows")) mark();
    if (event.target.id !== "pane") return;
    $("#main").dataset.view = "main";
    for (const begin of begins) begin(here.signal);
    $("#open").value = event.target.dataset.open;
    mark();
    $("#thread-title").focus({ preventScroll: true });
    // Somebody looks at it now, and what came meanwhile is asked for.
    window.htmx.trigger(document.body, "news");
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
