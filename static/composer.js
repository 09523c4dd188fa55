// The composer: cleared at once, filled again if the message was not taken.
(() => {
  "use strict";
  const $ = (selector, within = document) => within.querySelector(selector);

  const grow = (field) => {
    if (CSS.supports("field-sizing", "content")) return;
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight}px`;
  };
  const growAll = () => { for (const field of document.querySelectorAll(".composer textarea")) grow(field); };
  document.addEventListener("input", (event) => {
    if (event.target.matches(".composer textarea")) grow(event.target);
  });
  document.addEventListener("taken-over", (event) => { if (event.target.matches(".composer textarea")) grow(event.target); });
  // What was written waits here until its turn: htmx sends one after the other. A text that goes out
  // again unchanged keeps its token, by which the server knows that it is the same message.
  const outbox = [];
  // What is on its way to the server, or waits for that, by its token.
  const underway = new Map();
  const chosenFor = new Map();
  let notSent = {};
  const newToken = () => {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 15) | 64;
    bytes[8] = (bytes[8] & 63) | 128;
    return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  };
  window.eachPane((signal) => {
    const composer = $(".composer");
    if (composer) composer.noValidate = true;
    // A draft is in it from the beginning, and takes other lines in another width.
    growAll();
    addEventListener("resize", growAll, { signal });
    // The same text in another conversation is another message.
    signal.addEventListener("abort", () => { notSent = {}; });
  });
  // The keyboard of a screen stays for the next message: a finger on the button does not take the focus from the field.
  document.addEventListener("mousedown", (event) => {
    if (event.target.closest(".icon-btn--send") && document.activeElement?.matches(".composer textarea")) event.preventDefault();
  });
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
    const entry = { text, file, token, preview, ...(window.takeReply?.(token) ?? { in_reply_to: "" }) };
    outbox.push(entry);
    // As it goes out if the page goes before its turn.
    const rest = [...new FormData(event.target, event.submitter)].filter(([name, value]) => typeof value === "string" && !(name in entry));
    const own = Object.entries(entry).flatMap(([name, value]) => [value].flat().map((one) => [name, one]));
    underway.set(token, { address: event.target.action, fields: [...rest, ...own] });
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
    const fields = [...event.detail.formData].filter(([, value]) => typeof value === "string");
    underway.set(event.detail.parameters.token, { address: event.detail.path, fields });
    // The time is for this message alone.
    event.detail.elt.elements.when.value = "";
    window.followThread(true);
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const { elt, requestConfig, successful, xhr } = event.detail;
    if (!elt.matches(".composer")) return;
    underway.delete(requestConfig.parameters.token);
    $("#not-sent").hidden = successful || xhr.status === 422 || xhr.status === 401;
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
    window.followThread(false);
    const { text, token } = requestConfig.parameters;
    const { items, file } = chosenFor.get(token);
    notSent = { text, token, file };
    $("#files").prepend(...items);
    const field = $("textarea", elt);
    field.value = [text, field.value].filter(Boolean).join("\n");
    grow(field);
  });

  // A browser drops what is on its way as the page goes. So it goes out once more, and outlives the page: by its token the
  // server knows that it is the same message.
  const withoutPicture = ([name, value]) => [name, value && name === "preview" ? JSON.stringify({ ...JSON.parse(value), picture: "" }) : value];
  addEventListener("pagehide", () => {
    for (const { address, fields } of underway.values()) {
      const body = window.asLastWords(fields) ?? window.asLastWords(fields.map(withoutPicture));
      if (body) fetch(address, { method: "POST", body, keepalive: true, redirect: "manual" }).catch(() => {});
    }
  });

  // Where a topic that began goes on, unless something is still to be sent from here.
  document.addEventListener("topic-begun", (event) => { if (!outbox.length) location.assign(event.detail.address); });
})();
