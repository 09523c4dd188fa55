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
  // What is on its way to the server or waits for its turn. Each belongs to the form that it was written in and goes to the
  // address of that one, whatever the pane shows by then, with all the fields that it was pressed with. Its event carries
  // it: htmx sends those of a form one after the other.
  const underway = new Set();
  // By a name of its own: within a submit Firefox tells nobody of another one.
  const goesOut = (entry) => window.htmx.trigger(entry.form, "entry", { entry });
  // Until htmx has looked through the page it does not hear of any; scripts that are still to come keep it waiting.
  document.addEventListener("DOMContentLoaded", () => { for (const entry of underway) goesOut(entry); });
  const waitingIn = (form) => [...underway].filter((entry) => entry.form === form);
  // The draft that goes with it is the one that the page saw last.
  const fieldsOf = ({ form, fields }) => {
    fields.set("revision", form.elements.revision.value);
    return [...fields];
  };
  // Of what is in the field again because it was not taken, each text that goes out again unchanged keeps its token, by which
  // the server knows that it is the same message: the first of them may have got there.
  let unsent = [];
  // What the field of the time shows since then.
  let shownTime = "";
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
      const words = before.fields.get("text"), files = before.fields.getAll("file");
      const mine = items.slice(0, files.length);
      const leads = !words || text === words || text.startsWith(`${words}\n`);
      if (before.form !== form || !leads || filesOf(mine).join() !== files.join()) break;
      parts.push({ text: words, token: before.fields.get("token"), items: mine, before });
      items = items.slice(mine.length);
      if (words) text = text.slice(words.length + 1);
    }
    if (text.trim() || items.length || !parts.length) parts.push({ text, token: newToken(), items });
    return parts;
  };
  // The one place above the field for a preview, and for a quote, has that of the message that it came back for, else what
  // was chosen since: for what is new, or for the next where nothing is. What was pressed for before stays as it was, but
  // for what is pressed for now: another time, or that a topic begins.
  const entriesOf = (form, submitter, parts) => {
    const showing = (name) => parts.find(({ before }) => before?.shows[name]) ?? parts.find(({ before }) => !before)
      ?? (parts.some(({ before }) => before.fields.get(name)) ? undefined : parts[0]);
    const previewing = showing("preview"), replying = showing("in_reply_to");
    const preview = previewing && window.takePreview?.(previewing.token);
    const reply = replying && window.takeReply?.(replying.token);
    const pressed = [...new FormData(form, submitter)].filter(([, value]) => typeof value === "string");
    const now = (name) => pressed.filter(([each]) => each === name).map(([, value]) => value);
    const isTimed = now("at").length > 0 || form.elements.when.value !== shownTime;
    const anew = [...(isTimed ? ["at", "when"] : []), ...(now("begins").length ? ["begins"] : [])];
    return parts.map((part) => {
      const { text, token, items, before } = part;
      const fields = new FormData();
      for (const [name, value] of before?.fields ?? pressed) fields.append(name, value);
      const set = (name, values) => {
        fields.delete(name);
        for (const value of values) fields.append(name, value);
      };
      for (const name of anew) set(name, now(name));
      set("text", [text]);
      set("file", filesOf(items));
      set("token", [token]);
      if (part === previewing && preview !== undefined) set("preview", [preview]);
      if (part === replying) for (const [name, value] of Object.entries(reply ?? {})) set(name, [value]);
      const time = before && !isTimed ? before.time : submitter?.dataset.when ?? form.elements.when.value;
      return { form, address: form.action, items, fields, time };
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
    addEventListener("beforeunload", ask);
    for (const item of items) item.remove();
    field.value = "";
    grow(field);
    // The time is for what was pressed for alone.
    form.elements.when.value = "";
    for (const entry of entries) {
      underway.add(entry);
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
    if (!underway.has(entry)) return event.preventDefault();
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
    for (const entry of settled) {
      const token = entry.fields.get("token");
      underway.delete(entry);
      entry.shows = { in_reply_to: window.settleReply?.(token, successful), preview: window.settlePreview?.(token, successful) };
    }
    if (!underway.size) removeEventListener("beforeunload", ask);
    if (successful) {
      // A page in the middle of a conversation does not show what is written at its end.
      const newest = $("#newer [data-newest]");
      if (newest && !waitingIn(elt).length) location.assign(newest.href);
      return;
    }
    // Nothing goes out earlier than it was to.
    shownTime = elt.elements.when.value ||= settled.find(({ time }) => time)?.time ?? "";
    window.followThread(false);
    unsent = settled;
    $("#files").prepend(...settled.flatMap(({ items }) => items));
    const field = $("textarea", elt);
    field.value = [...settled.map(({ fields }) => fields.get("text")), field.value].filter(Boolean).join("\n");
    grow(field);
  });

  // What outlives a page: of all of it together browsers carry so many octets, less what a form takes around them. Written
  // as it is, for in the form of an address most letters of the world take up thrice the room.
  const MOST_AFTER = 60000;
  let carried = 0;
  const octetsOf = (fields) => new Blob(fields.flat()).size;
  const fits = (fields) => carried + octetsOf(fields) <= MOST_AFTER;
  const post = (address, fields, options) => {
    const body = new FormData();
    for (const [name, value] of fields) body.append(name, value);
    const octets = octetsOf(fields);
    carried += octets;
    return fetch(address, { method: "POST", body, keepalive: true, ...options }).finally(() => { carried -= octets; });
  };
  window.lastWords = { fit: fits, post };

  // A browser drops what is on its way as the page goes. So it goes out once more, and outlives the page: by its token the
  // server knows that it is the same message. All that a form has goes in one request, for beside each other they would be
  // in any order.
  const asTheyAre = (field) => field;
  const withoutPicture = ([name, value]) => [name, value && name === "preview" ? JSON.stringify({ ...JSON.parse(value), picture: "" }) : value];
  const wordsOf = (form, entries, change) => [
    ["csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value],
    ...entries.map((entry) => ["message", JSON.stringify(fieldsOf(entry).map(change))]),
  ];
  const formsUnderway = () => new Set([...underway].map(({ form }) => form));
  addEventListener("pagehide", () => {
    for (const form of formsUnderway()) {
      const change = [asTheyAre, withoutPicture].find((each) => fits(wordsOf(form, waitingIn(form), each))) ?? withoutPicture;
      const going = [];
      for (const entry of waitingIn(form)) if (fits(wordsOf(form, [...going, entry], change))) going.push(entry);
      if (!going.length) continue;
      post(form.dataset.all, wordsOf(form, going, change), { headers: { "HX-Request": "true" } }).catch(() => {});
    }
  });
  // Where that is more than a browser carries, it asks before it leaves.
  const ask = (event) => {
    const words = [...formsUnderway()].flatMap((form) => wordsOf(form, waitingIn(form), withoutPicture));
    if (underway.size && !fits([...words, ...window.unkeptFields?.() ?? []])) event.preventDefault();
  };
  // It would go out for whoever is signed in by now.
  document.addEventListener("signed-out", () => underway.clear());

  // Where a topic that began goes on, unless something is still to be sent from here.
  document.addEventListener("topic-begun", (event) => { if (waitingIn(event.target).length === 1) location.assign(event.detail.address); });
})();
