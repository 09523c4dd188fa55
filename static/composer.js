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
  // What was written waits here until its turn: htmx sends one after the other. Of what is in the field again
  // because it was not taken, each text that goes out again unchanged keeps its token, by which the server knows
  // that it is the same message: the first of them may have got there.
  const outbox = [];
  // What is on its way to the server, or waits for that, by its token.
  const underway = new Map();
  const writtenBy = new Map();
  let unsent = [];
  // How many htmx still has waiting behind one that was not taken.
  let stopped = 0;
  const filesOf = (items) => items.flatMap((item) => [...item.querySelectorAll("[name=file]:not([type=checkbox]:not(:checked))")]).map((input) => input.value);
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
    signal.addEventListener("abort", () => { unsent = []; });
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
  // What is in the field, message by message: those that begin it as they were, and the rest.
  const partsOf = (text, items) => {
    const parts = [];
    for (const { entry } of unsent) {
      const mine = items.slice(0, entry.file.length);
      const leads = !entry.text || text === entry.text || text.startsWith(`${entry.text}\n`);
      if (!leads || filesOf(mine).join() !== entry.file.join()) break;
      parts.push({ text: entry.text, token: entry.token, items: mine, before: entry });
      items = items.slice(mine.length);
      if (entry.text) text = text.slice(entry.text.length + 1);
    }
    if (text.trim() || items.length || !parts.length) parts.push({ text, token: newToken(), items });
    return parts;
  };
  // The one place above the field for a preview, and for a quote, has that of the first message that had one.
  const entriesOf = (parts) => {
    const showing = (name) => parts.find(({ before }) => before?.[name]) ?? parts.find(({ before }) => !before) ?? parts[0];
    const previewing = showing("preview"), replying = showing("in_reply_to");
    const preview = window.takePreview?.(previewing.token) ?? "";
    const reply = window.takeReply?.(replying.token) ?? { in_reply_to: "" };
    return parts.map((part) => {
      const { text, token, items, before } = part;
      const about = { preview: before?.preview ?? "", ...Object.fromEntries(Object.keys(reply).map((name) => [name, before?.[name] ?? ""])) };
      const shown = { ...(part === previewing ? { preview } : {}), ...(part === replying ? reply : {}) };
      return { entry: { text, file: filesOf(items), token, ...about, ...shown }, items };
    });
  };
  document.addEventListener("submit", (event) => {
    if (!event.target.matches(".composer") || !window.htmx) return;
    const field = $("textarea", event.target);
    // One of those that are to go out behind what was pressed for.
    if (event.detail?.behind) return;
    const items = [...$("#files", event.target).children];
    if (!field.value.trim() && !filesOf(items).length) {
      event.preventDefault();
      return event.stopPropagation();
    }
    const entries = entriesOf(partsOf(field.value, items));
    unsent = [];
    const pressed = [...new FormData(event.target, event.submitter)].filter(([, value]) => typeof value === "string");
    for (const { entry, items: chosen } of entries) {
      outbox.push(entry);
      // As it goes out if the page goes before its turn.
      const rest = pressed.filter(([name]) => !(name in entry));
      const own = Object.entries(entry).flatMap(([name, value]) => [value].flat().map((one) => [name, one]));
      underway.set(entry.token, { address: event.target.action, fields: [...rest, ...own] });
      writtenBy.set(entry.token, { entry, items: chosen });
    }
    for (const item of items) item.remove();
    field.value = "";
    grow(field);
    for (let behind = 1; behind < entries.length; behind += 1) window.htmx.trigger(event.target, "submit", { behind });
    // Afterwards: htmx forgets which button it was when the focus leaves it.
    const menu = event.submitter?.closest("details.menu");
    if (menu) setTimeout(() => {
      if (menu.contains(document.activeElement)) $("summary", menu).focus();
      menu.open = false;
    });
  }, true);
  document.addEventListener("htmx:configRequest", (event) => {
    if (!event.detail.elt.matches(".composer")) return;
    if (stopped) {
      stopped -= 1;
      return event.preventDefault();
    }
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
    $("#not-sent").hidden = successful || [401, 403, 422].includes(xhr.status);
    // Behind one that was not taken nothing goes: all of it is in the field again, in its order.
    const waiting = successful ? [] : outbox.splice(0);
    stopped += waiting.length;
    const tokens = [requestConfig.parameters.token, ...waiting.map(({ token }) => token)];
    const settled = tokens.map((token) => writtenBy.get(token));
    for (const token of tokens) {
      underway.delete(token);
      writtenBy.delete(token);
      window.settleReply?.(token, successful);
      window.settlePreview?.(token, successful);
    }
    if (successful) {
      // A page in the middle of a conversation does not show what is written at its end.
      const newest = $("#newer [data-newest]");
      if (newest && !outbox.length) location.assign(newest.href);
      return;
    }
    elt.elements.when.value = requestConfig.parameters.when ?? "";
    window.followThread(false);
    // What was refused got nowhere, and is to be written otherwise.
    unsent = xhr.status === 422 ? [] : settled;
    $("#files").prepend(...settled.flatMap(({ items }) => items));
    const field = $("textarea", elt);
    field.value = [...settled.map(({ entry }) => entry.text), field.value].filter(Boolean).join("\n");
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
  // It would go out for whoever is signed in by now.
  document.addEventListener("signed-out", () => underway.clear());

  // Where a topic that began goes on, unless something is still to be sent from here.
  document.addEventListener("topic-begun", (event) => { if (!outbox.length) location.assign(event.detail.address); });
})();
