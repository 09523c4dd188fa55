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
  // What is on its way to the server or waits for its turn, by its token. Each belongs to the form that it was written in and
  // goes to the address of that one, whatever the pane shows by then. Its event carries it: htmx sends those of a form one
  // after the other.
  const underway = new Map();
  // By a name of its own: within a submit Firefox tells nobody of another one.
  const goesOut = (entry) => window.htmx.trigger(entry.form, "entry", { entry });
  // Until htmx has looked through the page it does not hear of any; scripts that are still to come keep it waiting.
  document.addEventListener("DOMContentLoaded", () => { for (const entry of underway.values()) goesOut(entry); });
  const waitingIn = (form) => [...underway.values()].filter((entry) => entry.form === form);
  // The draft that goes with it is the one that the page saw last.
  const fieldsOf = ({ form, fields }) => [...fields, ["revision", form.elements.revision.value]];
  // Of what is in the field again because it was not taken, each text that goes out again unchanged keeps its token, by which
  // the server knows that it is the same message: the first of them may have got there.
  let unsent = [];
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
  // What is in the field, message by message: those that begin it as they were, and the rest. The same text in another
  // conversation is another message.
  const partsOf = (form, text, items) => {
    const parts = [];
    for (const before of unsent) {
      const mine = items.slice(0, before.file.length);
      const leads = !before.text || text === before.text || text.startsWith(`${before.text}\n`);
      if (before.form !== form || !leads || filesOf(mine).join() !== before.file.join()) break;
      parts.push({ text: before.text, token: before.token, items: mine, before });
      items = items.slice(mine.length);
      if (before.text) text = text.slice(before.text.length + 1);
    }
    if (text.trim() || items.length || !parts.length) parts.push({ text, token: newToken(), items });
    return parts;
  };
  // The one place above the field for a preview, and for a quote, has that of the first message that had one.
  const entriesOf = (form, submitter, parts) => {
    const showing = (name) => parts.find(({ before }) => before?.[name]) ?? parts.find(({ before }) => !before) ?? parts[0];
    const previewing = showing("preview"), replying = showing("in_reply_to");
    const preview = window.takePreview?.(previewing.token) ?? "";
    const reply = window.takeReply?.(replying.token) ?? { in_reply_to: "" };
    const pressed = [...new FormData(form, submitter)].filter(([, value]) => typeof value === "string");
    return parts.map((part) => {
      const { text, token, items, before } = part;
      const about = { preview: before?.preview ?? "", ...Object.fromEntries(Object.keys(reply).map((name) => [name, before?.[name] ?? ""])) };
      const shown = { ...(part === previewing ? { preview } : {}), ...(part === replying ? reply : {}) };
      const own = { text, file: filesOf(items), token, when: form.elements.when.value, ...about, ...shown };
      const rest = pressed.filter(([name]) => !(name in own) && name !== "revision");
      const fields = [...rest, ...Object.entries(own).flatMap(([name, value]) => [value].flat().map((one) => [name, one]))];
      return { ...own, form, address: form.action, items, fields };
    });
  };
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches(".composer") || !window.htmx) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const field = $("textarea", form);
    const items = [...$("#files", form).children];
    if (!field.value.trim() && !filesOf(items).length) return;
    const entries = entriesOf(form, event.submitter, partsOf(form, field.value, items));
    unsent = [];
    for (const item of items) item.remove();
    field.value = "";
    grow(field);
    // The time is for what was pressed for alone.
    form.elements.when.value = "";
    for (const entry of entries) {
      underway.set(entry.token, entry);
      goesOut(entry);
    }
    const menu = event.submitter?.closest("details.menu");
    if (menu?.contains(document.activeElement)) $("summary", menu).focus();
    if (menu) menu.open = false;
  }, true);
  document.addEventListener("htmx:configRequest", (event) => {
    const { elt, formData, triggeringEvent } = event.detail;
    if (!elt.matches(".composer")) return;
    const entry = triggeringEvent?.detail?.entry;
    // It is in the field again, or nobody is signed in for it any more.
    if (!entry || underway.get(entry.token) !== entry) return event.preventDefault();
    event.detail.path = entry.address;
    for (const name of [...formData.keys()]) formData.delete(name);
    for (const [name, value] of fieldsOf(entry)) formData.append(name, value);
    window.followThread(true);
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const { elt, requestConfig, successful, xhr } = event.detail;
    if (!elt.matches(".composer")) return;
    $("#not-sent").hidden = successful || [401, 403, 422].includes(xhr.status);
    // Behind one that was not taken nothing goes: all of it is in the field again, in its order.
    const settled = successful ? [requestConfig.triggeringEvent.detail.entry] : waitingIn(elt);
    for (const { token } of settled) {
      underway.delete(token);
      window.settleReply?.(token, successful);
      window.settlePreview?.(token, successful);
    }
    if (successful) {
      // A page in the middle of a conversation does not show what is written at its end.
      const newest = $("#newer [data-newest]");
      if (newest && !waitingIn(elt).length) location.assign(newest.href);
      return;
    }
    // Nothing goes out earlier than it was to.
    elt.elements.when.value ||= settled.find(({ when }) => when)?.when ?? "";
    window.followThread(false);
    unsent = settled;
    $("#files").prepend(...settled.flatMap(({ items }) => items));
    const field = $("textarea", elt);
    field.value = [...settled.map(({ text }) => text), field.value].filter(Boolean).join("\n");
    grow(field);
  });

  // A browser drops what is on its way as the page goes. So it goes out once more, and outlives the page: by its token the
  // server knows that it is the same message.
  const withoutPicture = ([name, value]) => [name, value && name === "preview" ? JSON.stringify({ ...JSON.parse(value), picture: "" }) : value];
  addEventListener("pagehide", () => {
    for (const entry of underway.values()) {
      const fields = fieldsOf(entry);
      const body = window.asLastWords(fields) ?? window.asLastWords(fields.map(withoutPicture));
      if (body) fetch(entry.address, { method: "POST", body, keepalive: true, redirect: "manual" }).catch(() => {});
    }
  });
  // It would go out for whoever is signed in by now.
  document.addEventListener("signed-out", () => underway.clear());

  // Where a topic that began goes on, unless something is still to be sent from here.
  document.addEventListener("topic-begun", (event) => { if (waitingIn(event.target).length === 1) location.assign(event.detail.address); });
})();
