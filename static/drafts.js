// What is being written is kept as it is typed, and on leaving the page; other pages of the account show it too.
(() => {
  "use strict";
  const $ = (selector, within = document) => within.querySelector(selector);
  // Milliseconds: after the last key, at most between two, and after a try that failed, at first and at last.
  const PAUSE = 1000, LONGEST = 5000, AGAIN = 5000, RAREST = 60000;
  const held = (name) => ["text", "file", "to", "quote", "draft", "in_reply_to", "topic", "preview", "from", "group_name"].includes(name) || name.startsWith("name-");

  // The forms of the page that have a draft: the composer, messages that are being changed, an answer to a mail.
  const forms = new Set();
  const isKept = () => [...forms].every((each) => each.isKept());
  window.unkeptFields = () => [...forms].filter((each) => !each.isKept()).flatMap((each) => [...new URLSearchParams(each.written())]);

  const newName = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

  const begin = (state) => {
    const form = state.closest("form");
    if (!form || [...forms].some((each) => each.form === form)) return;
    const gone = new AbortController();
    const { signal } = gone;
    const field = $("textarea[name=text]", form);
    const words = $("template", state).dataset;
    const { keep: address, news } = state.dataset;
    const named = (name) => $(`[data-line=${name}]`, state);
    // Both go out with the form as well: of what others wrote here, sending takes away what was seen alone.
    const { writer: writerField, revision: revisionField } = form.elements;
    writerField.value ||= newName();
    const writer = writerField.value;

    // Whom something goes to is written where people are chosen alone.
    const silent = ["draft", "topic", "preview", "from", "quote", ...(form.matches("#picker") ? [] : ["to"])];
    const written = () => new URLSearchParams([...new FormData(form)].filter(([name, value]) => held(name) && typeof value === "string")).toString();
    const isEmpty = (what) => [...new URLSearchParams(what)].every(([name, value]) => silent.includes(name) || !value.trim());

    const seen = (revision) => { revisionField.value = revision; };
    // What the server has: without script it might have been changed already, as after a reload.
    let kept = written();
    // A draft that can't be shown is not written over.
    let still = "shut" in state.dataset;
    let running, underway, outliving, timer, since, submitted, cut = false, sending = 0;
    // Whether what another page wrote is kept here and not shown, and whether it is what the field is about to be kept as.
    let left = false, swapping = false;
    // Whether the texts changed places here: the server knows who wrote last, and not any more whose the other one is.
    let swapped = false;

    // The page with the text stays.
    Object.assign($("a", named("signed-out")), { target: "_blank", rel: "noopener" });

    const line = (name, sentence) => {
      const found = named(name);
      if (!found) return;
      found.hidden = sentence === "";
      if (sentence) $("span", found).textContent = sentence;
    };

    const later = (wait = PAUSE) => {
      clearTimeout(timer);
      if (sending && !form.hasAttribute("hx-post")) { timer = setTimeout(goOn, LONGEST); return; }
      since ??= Date.now();
      timer = setTimeout(keep, Math.min(wait, Math.max(since + LONGEST - Date.now(), 0)));
    };

    // Where a page was to come and somebody still writes in this one, they stopped it. Where it only takes long, what it
    // sends is no draft any more.
    const goOn = () => {
      if (written() === submitted) return;
      sending = 0;
      cut = false;
      kept = undefined;
      keep();
    };

    // That it takes nothing from this page: nobody is signed in for it, or its forms are of another time.
    const saysRefused = (status) => {
      named("signed-out").hidden = status !== 401;
      named("too-old").hidden = status !== 403;
      return [401, 403].includes(status);
    };

    const unkept = (answer, said) => {
      const refused = saysRefused(answer?.status);
      line("unkept", refused ? "" : said?.error || (answer ? words.failed : words.offline));
      // What the server refuses for good is tried again with the next key.
      if (![403, 404, 422].includes(answer?.status)) { since = undefined; clearTimeout(timer); timer = setTimeout(keep, AGAIN); }
    };

    async function keep(leaving = false, gone = false) {
      clearTimeout(timer);
      const now = written();
      // A page that goes while it sends: what was written since is kept as another page's, for what is sent takes its own away.
      const beside = gone && sending > 0 && form.hasAttribute("hx-post") && !isEmpty(now);
      if (still || (sending && !beside) || now === kept || signal.aborted) { since = undefined; return; }
      if (running && leaving !== true) return later();
      // A page that goes is hidden as well.
      if (running && outliving === now) return;
      since = undefined;
      const body = new URLSearchParams(now);
      body.set("writer", beside ? newName() : writer);
      body.set("revision", beside ? "0" : revisionField.value);
      if (swapping) body.set("swap", "1");
      // What went out by it meanwhile is not kept any more.
      if (form.elements.token) body.set("token", form.elements.token.value);
      const mine = running = new AbortController();
      const headers = { Accept: "application/json", "X-CSRFToken": $("[name=csrfmiddlewaretoken]", form).value };
      const last = leaving === true && window.lastWords.fit([...body]);
      outliving = last ? now : undefined;
      let answer, said, done;
      underway = new Promise((resolve) => { done = resolve; });
      try {
        const options = { headers, signal: mine.signal };
        answer = await (last ? window.lastWords.post(address, [...body], options) : fetch(address, { method: "POST", body, ...options }));
        said = await answer.json().catch(() => undefined);
      } catch { /* offline, or cut off by sending */ } finally { done(); }
      if (mine.signal.aborted || signal.aborted) return;
      running = undefined;
      if (!answer?.ok || !said) return unkept(answer, said);
      kept = now;
      swapping = false;
      seen(said.revision);
      offer(said.left);
      saysRefused();
      line("unkept", "");
      line("changed", "");
      document.dispatchEvent(new Event("draft-kept"));
      if (said.overtook) {
        swapped = false;
        line("overtook", words.overtook);
      }
      if (written() !== kept) later();
    }

    // ---- Taking over what another page wrote
    const offer = (isLeft) => {
      left = isLeft;
      named("left").hidden = !isLeft;
    };

    const take = (found) => {
      if (found.text !== undefined) field.value = found.text;
      const files = $("#files", form);
      if (files) {
        // Those on their way from here are in no draft yet.
        for (const item of [...files.children]) if (!item.matches("[data-busy]")) item.remove();
        files.insertAdjacentHTML("afterbegin", found.files ?? "");
      }
      if (found.preview !== undefined && form.elements.preview) window.showPreview?.(found.preview);
      if (form.elements.quote) form.elements.quote.checked = found.withQuote;
      const whom = $(`[name=to][type=radio][value=${found.toAll ? "all" : "sender"}]`, form);
      if (whom) whom.checked = true;
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
      if (!wanted && written() !== kept) { named("changed").hidden = false; return; }
      take(found);
      seen(found.revision);
      kept = written();
      line("changed", "");
      offer(false);
      line("overtook", found.overtook ? (found.replaced && !swapped ? words.replaced : words.overtook) : "");
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
      $("button", named(name)).addEventListener("click", () => {
        if (news) look(true);
        // Without news of it the page has to come anew, with what is kept.
        else location.assign(state.dataset.anew || `${location.pathname}?draft=${form.elements.draft.value}`);
      });
    }
    // What stands in the field changes places with it, and can be shown again.
    $("button", named("overtook")).addEventListener("click", async () => {
      if (!await keepAll()) return;
      const found = await ask(`${state.dataset.overtaken}&draft=${form.elements.draft?.value ?? ""}`);
      if (!found || signal.aborted) return;
      take(found);
      swapped = true;
      line("overtook", words.overtook);
      swapping = written() !== kept;
      later(0);
    });

    // ---- When it is kept
    form.addEventListener("input", () => later());
    form.addEventListener("change", () => later());
    // Files that are there or gone, people that were chosen, a reply that was begun.
    const files = $("#files", form);
    if (files) {
      const chosen = new MutationObserver(() => later());
      chosen.observe(files, { childList: true, subtree: true });
      signal.addEventListener("abort", () => chosen.disconnect());
    }
    document.addEventListener("htmx:afterSettle", (event) => { if (["chips", "composer-preview"].includes(event.target.id)) later(); }, { signal });
    document.addEventListener("visibilitychange", () => { if (document.hidden) keep(true); else if (!named("signed-out").hidden) keep(); }, { signal });
    addEventListener("pagehide", () => keep(true, true), { signal });
    const keepAll = async () => {
      await underway;
      await keep(true);
      if (still && !isEmpty(written())) line("unkept", words.failed);
      return still ? isEmpty(written()) : written() === kept;
    };
    signal.addEventListener("abort", () => clearTimeout(timer));

    // ---- Sending takes the draft away: nothing that was on its way may bring it back.
    const pause = () => {
      clearTimeout(timer);
      sending += 1;
      if (running) { running.abort(); running = undefined; cut = true; }
    };
    const takesAway = (elt) => elt === form || (elt.matches("[data-discards]") && form.contains(elt));
    document.addEventListener("submit", (event) => {
      if (event.target !== form || event.defaultPrevented || form.hasAttribute("hx-post")) return;
      submitted = written();
      pause();
    }, { signal });
    document.addEventListener("htmx:beforeRequest", (event) => { if (takesAway(event.detail.elt) && !event.defaultPrevented) pause(); }, { signal });
    document.addEventListener("htmx:afterRequest", (event) => {
      if (!takesAway(event.detail.elt) || !form.isConnected) return;
      sending = Math.max(sending - 1, 0);
      if (event.detail.successful) {
        seen(0);
        saysRefused();
        // What was overtaken is the draft now: nobody wants it in the field who goes on writing.
        offer(left || !named("overtook").hidden);
        line("overtook", "");
        line("changed", "");
        kept = cut ? undefined : written();
        if (!isEmpty(written())) kept = undefined;
      } else {
        kept = undefined;
        saysRefused(event.detail.xhr.status);
      }
      cut = false;
      if (kept === undefined) later(0);
    }, { signal });
    addEventListener("pageshow", (event) => { if (event.persisted) sending = 0; }, { signal });

    const mine = {
      form,
      written,
      keep: () => keep(true),
      keepAll,
      isKept: () => still || written() === kept,
      end: () => { gone.abort(); forms.delete(mine); },
    };
    forms.add(mine);
  };

  const beginIn = (place) => { for (const state of place.querySelectorAll(".draft-state")) begin(state); };
  window.eachPane((signal) => {
    beginIn(document);
    signal.addEventListener("abort", () => { for (const each of [...forms]) each.end(); });
  });
  // A message that is to be changed; forms that were taken away are let go.
  document.addEventListener("htmx:afterSettle", (event) => {
    for (const each of [...forms]) if (!each.form.isConnected) each.end();
    if (event.target.matches?.(".msg")) beginIn(event.target);
  });
  // The page is about to come anew, perhaps for somebody else: nothing of it is theirs.
  document.addEventListener("signed-out", () => { for (const each of [...forms]) each.end(); });
  // What takes the place of a form, other than what it asked for itself, comes once that is kept.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { target, requestConfig } = event.detail;
    for (const each of forms) if (target.contains(each.form) && !each.form.contains(requestConfig.elt)) each.keep();
  });
  // Before another conversation takes the pane. It stays if something cannot be kept.
  document.addEventListener("pane-leaving", (event) => event.detail.waits.push(...[...forms].map((each) => each.keepAll())));
  // A page that is to come anew, as after unlocking, comes with what was kept alone: it stays until that is done.
  let waits = false;
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    if (isKept() || event.detail.xhr.getResponseHeader("HX-Refresh") !== "true") return;
    event.preventDefault();
    const anew = () => { if (isKept()) location.reload(); };
    Promise.all([...forms].map((each) => each.keepAll())).then(() => {
      anew();
      if (!waits) document.addEventListener("draft-kept", anew);
      waits = true;
    });
  });
})();
