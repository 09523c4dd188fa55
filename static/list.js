// The list of conversations comes anew whenever something in it changed, and whoever reads it keeps their place.
(() => {
  "use strict";
  const $ = (selector, within = document) => within.querySelector(selector);
  const isList = (event) => event.detail.requestConfig?.elt.id === "list";
  const box = () => $("#list")?.closest(".pane__scroll");
  const rows = (within = document) => [...within.querySelectorAll("#convos > li:has(> .row)")];
  const idOf = (row) => $(".row", row).getAttribute("href").split("/").at(-2);
  const inView = () => {
    const { top, bottom } = box().getBoundingClientRect();
    return rows().filter((row) => {
      const place = row.getBoundingClientRect();
      return place.height > 0 && place.bottom > top && place.top < bottom;
    });
  };

  // ---- What can be done with a row is a page of its own. Here it is a menu beside the row, which comes once it is wanted.
  const made = (name, css, ...children) => {
    const element = document.createElement(name);
    element.className = css;
    element.append(...children);
    return element;
  };
  const makeMenus = () => {
    for (const link of document.querySelectorAll("#convos > li > a.row-menu")) {
      const summary = made("summary", "icon-btn");
      summary.ariaLabel = link.ariaLabel;
      const page = made("a", "menu__item", link.closest("#convos").dataset.menu);
      page.href = link.getAttribute("href");
      const menu = made("details", "menu row-menu", summary, made("div", "menu__list", page));
      menu.dataset.address = link.getAttribute("href");
      link.replaceWith(menu);
    }
  };

  // ---- Pictures come as their rows come near: thirty of them weigh as much as half of the page.
  const come = (row) => { row.dataset.near = ""; };
  const comesNear = new IntersectionObserver((seen) => {
    for (const { target } of seen.filter((one) => one.isIntersecting)) {
      come(target);
      comesNear.unobserve(target);
    }
  }, { root: box() ?? null, rootMargin: "64px" });
  const dress = () => {
    makeMenus();
    // At once where they were seen before, so that none of them flickers.
    if (box()) inView().forEach(come);
    for (const row of rows()) if (!("near" in row.dataset)) comesNear.observe(row);
  };
  dress();
  const coming = new WeakMap();
  // What can be done comes into the menu of a row each time that it is wanted; settles with whether it came.
  window.fillMenu = (menu) => {
    if (window.htmx && !coming.has(menu)) {
      const asked = window.htmx.ajax("GET", menu.dataset.address, { source: menu, target: $(".menu__list", menu), swap: "innerHTML" });
      coming.set(menu, asked.then(() => true, () => false).finally(() => coming.delete(menu)));
    }
    return coming.get(menu) ?? Promise.resolve(false);
  };
  document.addEventListener("toggle", ({ target }) => {
    if (!target.matches(".row-menu")) return;
    if (target.open) window.fillMenu(target);
    // News of the list wait for what is on its way in it.
    else if (coming.has(target)) window.htmx.trigger(target, "htmx:abort");
  }, true);
  // What changed on another page changes in a menu that is open. What is on its way may have been made before that.
  for (const name of ["settings", "caught-up"]) document.body.addEventListener(name, () => {
    for (const menu of document.querySelectorAll(".row-menu[open]")) {
      (coming.get(menu) ?? Promise.resolve()).then(() => { if (menu.open) window.fillMenu(menu); });
    }
  });

  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.elt.id !== "list") return;
    event.detail.parameters.shown = rows().length;
    event.detail.parameters.in_view = inView().map(idOf).join(",");
  });

  // An answer has so many rows at most; behind its link to the next ones it has those that were in view further down. The
  // others further down stay as they were, marked as old.
  const joined = (answer, asked) => {
    const fresh = document.createElement("template");
    fresh.innerHTML = answer;
    const more = $("#more-rows", fresh.content);
    if (!more) return answer;
    const anew = new Map(rows(fresh.content).map((row) => [idOf(row), row]));
    const above = new Set(), below = new Map();
    for (const [id, row] of anew) {
      if (row.compareDocumentPosition(more) & Node.DOCUMENT_POSITION_FOLLOWING) above.add(id);
      else below.set(id, row);
    }
    const before = rows();
    // Those above go on where they did before. What was among them and is not now may be anywhere further down: it comes
    // next, and finds its place, or goes, once somebody looks.
    const kept = before.filter((row) => !above.has(idOf(row)));
    for (const row of below.values()) row.remove();
    if (kept.length === before.length || !kept.length) return fresh.innerHTML;
    const further = kept.flatMap((row) => {
      const id = idOf(row);
      if (asked.has(id)) return below.get(id) ?? [];
      const old = row.cloneNode(true);
      old.dataset.old = "";
      return old;
    });
    const next = $("#more-rows")?.cloneNode(true);
    more.replaceWith(...further, ...(next ? [next] : []));
    return fresh.innerHTML;
  };

  document.addEventListener("htmx:afterSwap", ({ target }) => { if (target.id === "list" || $(":scope > a.row-menu", target)) dress(); });
  let tops = new Map();
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (!isList(event) || event.target.id !== "list") return;
    const asked = new Set(event.detail.requestConfig.parameters.in_view.split(","));
    event.detail.serverResponse = joined(event.detail.serverResponse, asked);
    // Who is at the top sees what is new there.
    tops = new Map(box().scrollTop > 0 ? inView().map((row) => [idOf(row), row.getBoundingClientRect().top]) : []);
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (!isList(event) || event.target.id !== "list" || !tops.size) return;
    // Of the rows in view some may have gone elsewhere; the one that moved least says where the others are now.
    const moves = rows().filter((row) => tops.has(idOf(row))).map((row) => row.getBoundingClientRect().top - tops.get(idOf(row)));
    if (moves.length) box().scrollTop += moves.reduce((least, move) => (Math.abs(move) < Math.abs(least) ? move : least));
  });

  // The page's title and the app's icon say how much is unread, and the server has said so in the title that came.
  const counted = () => Number($("#unread-count")?.dataset.count ?? 0);
  const before = (unread) => (unread ? `(${unread}) ` : "");
  let said = document.title;
  let name = said.slice(before(counted()).length);
  const say = () => {
    if (!$("#unread-count")) return;
    // A conversation that came into the pane has its own.
    if (document.title !== said) name = document.title;
    const unread = counted();
    said = document.title = before(unread) + name;
    const shown = unread ? navigator.setAppBadge?.(unread) : navigator.clearAppBadge?.();
    // Refused where the app is not installed.
    shown?.catch(() => {});
  };
  say();
  document.addEventListener("htmx:afterSettle", say);

  // Old ones that somebody scrolls to come anew.
  const SETTLED = 200;
  let scrolled;
  document.addEventListener("scroll", (event) => {
    if (event.target !== box()) return;
    clearTimeout(scrolled);
    scrolled = setTimeout(() => {
      if (inView().some((row) => "old" in row.dataset)) window.htmx?.trigger(document.body, "conversations");
    }, SETTLED);
  }, true);
})();
