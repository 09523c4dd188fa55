// What stands above the composer, the quote and the topic: kept in step with the hidden fields that say so.
(() => {
  "use strict";
  const place = () => document.querySelector("#composer-reply");
  const field = () => place()?.querySelector("[name=in_reply_to]");
  // Not on the page of a topic, where everything that is written belongs to it.
  const topic = () => place()?.querySelector("[name=topic]");
  let shown;
  window.eachPane(() => { shown = field()?.value ?? ""; });

  const said = () => {
    shown = field().value;
    field().dispatchEvent(new Event("change", { bubbles: true }));
  };
  const nothing = () => {
    const names = ["in_reply_to", ...(topic() ? ["topic"] : [])];
    place().replaceChildren(...names.map((name) => Object.assign(document.createElement("input"), { type: "hidden", name, value: "" })));
  };

  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-no-reply]")) return;
    event.preventDefault();
    nothing();
    said();
    document.querySelector("#text")?.focus();
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.id !== "composer-reply") return;
    if (field().value !== shown) said();
    document.querySelector("#text")?.focus();
  });
  // What is gone is answered no more.
  document.addEventListener("gone", (event) => {
    if (!event.detail.ids.some((id) => field()?.value.startsWith(id))) return;
    nothing();
    said();
  });
  // Another page of the account began or gave up a reply.
  document.addEventListener("change", (event) => {
    if (event.target.name !== "in_reply_to" || event.target.value === shown) return;
    shown = event.target.value;
    if (!shown) return nothing();
    const address = place().dataset.quote.replace("/00/", `/${shown}/`);
    window.htmx?.ajax("GET", address, { target: "#composer-reply", swap: "outerHTML" });
  });

  // ---- Sending takes the quote away with the text, and brings it back where it was not taken.
  const holds = () => Boolean(field()?.value || topic()?.value);
  // Where another one was chosen meanwhile, it stays away; whether it stands there again is what is answered.
  const waiting = new Map();
  window.takeReply = (token) => {
    if (!place()) return { in_reply_to: "" };
    const about = { in_reply_to: field().value, ...(topic() ? { topic: topic().value } : {}) };
    waiting.set(token, [...place().childNodes]);
    nothing();
    shown = "";
    return about;
  };
  window.settleReply = (token, sent) => {
    const nodes = waiting.get(token);
    if (!sent && holds()) return false;
    waiting.delete(token);
    if (sent || !nodes || !place()) return false;
    place().replaceChildren(...nodes);
    shown = field().value;
    return holds();
  };
})();
