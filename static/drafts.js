// What is being written is kept as it is typed, and on leaving the page; other pages of the account show it too.
window.eachPane((signal) => {
  "use strict";
  const $ = (selector, within = document) => within.querySelector(selector);
  const state = $("#draft-state");
  const form = state?.closest("form");
  if (!form) return;
  const field = $("textarea[name=text]", form);
  const words = $("#draft-words").dataset;
  const { keep: address, news } = state.dataset;
  // Milliseconds: after the last key, at most between two, and after a try that failed, at first and at last.
  const PAUSE = 1000, LONGEST = 5000, AGAIN = 5000, RAREST = 60000;
  // Both go out with the form as well: of what others wrote here, sending takes away what was seen alone.
  const { writer: writerField, revision: revisionField } = form.elements;
  writerField.value ||= [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const writer = writerField.value;

  const held = (name) => ["text", "file", "to", "draft", "in_reply_to", "topic", "preview", "from"].includes(name) || name.startsWith("name-");
  const written = () => new URLSearchParams([...new FormData(form)].filter(([name, value]) => held(name) && typeof value === "string")).toString();
  const isEmpty = (what) => [...new URLSearchParams(what)].every(([name, value]) => ["draft", "topic", "preview", "from"].includes(name) || !value.trim());

  const seen = (revision) => { revisionField.value = revision; };
  // What the server has: without script it might have been changed already, as after a reload.
  let kept = written();
  // A draft that can't be shown is not written over.
  let still = "shut" in state.dataset;
  let running, underway, timer, since, cut = false, sending = 0;
  // Whether what another page wrote is kept here and not shown, and whether it is what the field is about to be kept as.
  let left = false, swapping = false;

  // The page with the text stays.
  Object.assign($("#signed-out a"), { target: "_blank", rel: "noopener" });

  const line = (name, sentence) => {
    const found = $(`#draft-${name}`);
    found.hidden = sentence === "";
    if (sentence) $("span", found).textContent = sentence;
  };

  const later = (wait = PAUSE) => {
    clearTimeout(timer);
    since ??= Date.now();
    timer = setTimeout(keep, Math.min(wait, Math.max(since + LONGEST - Date.now(), 0)));
  };

  const unkept = (answer, said) => {
    const signedOut = answer?.status === 401;
    $("#signed-out").hidden = !signedOut;
    line("unkept", signedOut ? "" : said?.error || (answer ? words.failed : words.offline));
    // What the server refuses for good is tried again with the next key.
    if (answer?.status !== 422) { since = undefined; clearTimeout(timer); timer = setTimeout(keep, AGAIN); }
  };

  async function keep(leaving = false) {
    clearTimeout(timer);
    const now = written();
    if (still || sending || now === kept) { since = undefined; return; }
    if (running && leaving !== true) return later();
    since = undefined;
    const body = new URLSearchParams(now);
    body.set("writer", writer);
    body.set("revision", revisionField.value);
    if (swapping) body.set("swap", "1");
    const mine = running = new AbortController();
    const headers = { Accept: "application/json", "X-CSRFToken": $("[name=csrfmiddlewaretoken]", form).value };
    // Browsers carry little after a page is gone.
    const keepalive = leaving === true && body.toString().length < 60000;
    let answer, said, done;
    underway = new Promise((resolve) => { done = resolve; });
    try {
      answer = await fetch(address, { method: "POST", body, headers, keepalive, signal: mine.signal });
      said = await answer.json().catch(() => undefined);
    } catch { /* offline, or cut off by sending */ } finally { done(); }
    if (mine.signal.aborted || signal.aborted) return;
    running = undefined;
    if (!answer?.ok || !said) return unkept(answer, said);
    kept = now;
    swapping = false;
    seen(said.revision);
    offer(said.left);
    $("#signed-out").hidden = true;
    line("unkept", "");
    line("changed", "");
    document.dispatchEvent(new Event("draft-kept"));
    if (said.overtook) $("#draft-overtook").hidden = false;
    if (written() !== kept) later();
  }

  // ---- Taking over what another page wrote
  const offer = (isLeft) => {
    left = isLeft;
    $("#draft-left").hidden = !isLeft;
  };
  const take = (found) => {
    if (found.text !== undefined) field.value = found.text;
    $("#files").innerHTML = found.files ?? "";
    if (found.preview !== undefined) window.showPreview?.(found.preview);
    const reply = $("[name=in_reply_to]", form);
    if (reply && found.inReplyTo !== undefined && reply.value !== found.inReplyTo) {
      reply.value = found.inReplyTo;
      reply.dispatchEvent(new Event("change", { bubbles: true }));
    }
    const topic = $("#composer-reply [name=topic]", form);
    if (topic && !found.inReplyTo && found.about !== undefined && topic.value !== found.topic) $("#composer-reply", form).innerHTML = found.about;
    field.dispatchEvent(new CustomEvent("taken-over", { bubbles: true }));
  };

  const ask = async (from) => {
    const answer = await fetch(from, { headers: { Accept: "application/json" } }).catch(() => undefined);
    return answer?.status === 200 ? answer.json() : undefined;
  };

  const look = async (wanted = false) => {
    if (!news || sending || running) return;
    const found = await ask(`${news}?writer=${wanted ? "" : writer}&revision=${still || wanted ? "" : revisionField.value}`);
    if (!found || sending || running || signal.aborted) return;
    if (left && !wanted && found.revision) return;
    if (!wanted && written() !== kept) { $("#draft-changed").hidden = false; return; }
    take(found);
    seen(found.revision);
    kept = written();
    line("changed", "");
    offer(false);
    $("#draft-overtook").hidden = !found.overtook;
    if (still) { still = false; line("shut", ""); }
  };
  // What could not be shown, as while the agent was away, comes as soon as it can.
  const untilShown = (wait) => setTimeout(async () => {
    if (!still || signal.aborted) return;
    await look();
    untilShown(Math.min(2 * wait, RAREST));
  }, wait);
  if (still) untilShown(AGAIN);

  document.body.addEventListener("draft", () => look(), { signal });
  document.body.addEventListener("caught-up", () => look(), { signal });
  for (const name of ["changed", "left"]) {
    $(`#draft-${name} button`).addEventListener("click", () => {
      if (news) look(true);
      else location.assign(`${location.pathname}?draft=${form.elements.draft.value}`);
    });
  }
  // What stands in the field changes places with it, and can be shown again.
  $("#draft-overtook button").addEventListener("click", async () => {
    if (!await keepAll()) return;
    const found = await ask(`${state.dataset.overtaken}&draft=${form.elements.draft?.value ?? ""}`);
    if (!found || signal.aborted) return;
    take(found);
    swapping = written() !== kept;
    later(0);
  });

  // ---- When it is kept
  form.addEventListener("input", () => later());
  // Files that are there or gone, people that were chosen, a reply that was begun.
  new MutationObserver(() => later()).observe($("#files", form), { childList: true, subtree: true });
  document.addEventListener("htmx:afterSettle", (event) => { if (["chips", "composer-preview"].includes(event.target.id)) later(); }, { signal });
  form.addEventListener("change", () => later());
  document.addEventListener("visibilitychange", () => { if (document.hidden) keep(true); else if (!$("#signed-out").hidden) keep(); }, { signal });
  addEventListener("pagehide", () => keep(true), { signal });
  // Before another conversation takes the pane. It stays if this cannot be kept.
  const keepAll = async () => {
    await underway;
    await keep(true);
    if (still && !isEmpty(written())) line("unkept", words.failed);
    return still ? isEmpty(written()) : written() === kept;
  };
  document.addEventListener("pane-leaving", (event) => event.detail.waits.push(keepAll()), { signal });
  // A page that is to come anew, as after unlocking, comes with what was kept alone: it stays until that is done.
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    if (still || written() === kept || event.detail.xhr.getResponseHeader("HX-Refresh") !== "true") return;
    event.preventDefault();
    const anew = () => location.reload();
    keepAll().then((good) => { if (good) anew(); else document.addEventListener("draft-kept", anew, { once: true, signal }); });
  }, { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));

  // ---- Sending takes the draft away: nothing that was on its way may bring it back.
  const pause = () => {
    clearTimeout(timer);
    sending += 1;
    if (running) { running.abort(); running = undefined; cut = true; }
  };
  document.addEventListener("submit", (event) => {
    if (event.target === form && !event.defaultPrevented && !form.matches(".composer")) pause();
  }, { signal });
  document.addEventListener("htmx:beforeRequest", (event) => { if (event.detail.elt === form && !event.defaultPrevented) pause(); }, { signal });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.elt !== form) return;
    sending -= 1;
    if (event.detail.successful) {
      seen(0);
      // What was overtaken is the draft now: nobody wants it in the field who goes on writing.
      offer(left || !$("#draft-overtook").hidden);
      line("overtook", "");
      line("changed", "");
      kept = cut ? undefined : written();
      if (!isEmpty(written())) kept = undefined;
    } else kept = undefined;
    cut = false;
    if (kept === undefined) later(0);
  }, { signal });
  addEventListener("pageshow", (event) => { if (event.persisted) sending = 0; }, { signal });
});
