// Previews of links: one is asked for as soon as a link is complete, by this server. Without script a button does it.
window.eachPane((signal) => {
  "use strict";
  const place = document.querySelector("#composer-preview");
  const form = place?.closest("form");
  if (!form) return;
  const text = form.querySelector("textarea[name=text]");
  const field = () => place.querySelector("[name=preview]");
  const LINK = /https?:\/\/[^\s<>"]{4,}/i;
  // Somebody who is still typing an address has nobody asked for half of it.
  const COMPLETE = /https?:\/\/[^\s<>"]{4,}(?=\s)/i;
  const PAUSE = 600;
  let timer, asked = "";

  const card = () => {
    try { return JSON.parse(field().value); } catch { return {}; }
  };

  const clear = () => {
    const empty = document.createElement("input");
    Object.assign(empty, { type: "hidden", name: "preview", value: "" });
    const button = place.querySelector("[data-add-preview]");
    place.replaceChildren(...[empty, place.querySelector(".composer__asking"), button].filter(Boolean));
  };

  // A policy that lets no picture in but from this server lets a canvas be drawn on.
  const draw = async () => {
    const canvas = place.querySelector("canvas");
    const picture = card().picture;
    if (!canvas || !picture) return;
    const bytes = Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" })).catch(() => undefined);
    canvas.hidden = !bitmap;
    if (!bitmap) return;
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
  };

  const offer = () => {
    const button = place.querySelector("[data-add-preview]");
    if (button) button.hidden = !LINK.test(text.value) || Boolean(place.querySelector(".preview"));
  };

  const shown = () => { draw(); offer(); };

  const look = (pasted = false) => {
    const about = card().url;
    if (about && text.value.includes(about)) return offer();
    if (about) clear();
    const link = (text.value.match(pasted ? LINK : COMPLETE) ?? [""])[0];
    if (!LINK.test(text.value)) {
      asked = "";
      if (place.querySelector("p:not(.composer__asking)")) clear();
    }
    offer();
    if (!link || link === asked) return;
    asked = link;
    window.htmx?.trigger(place, "link-written");
  };

  text.addEventListener("input", (event) => {
    clearTimeout(timer);
    timer = setTimeout(look, PAUSE, event.inputType === "insertFromPaste");
  });
  text.addEventListener("taken-over", shown);
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target !== place) return;
    shown();
    if (document.activeElement === document.body) text.focus();
  }, { signal });
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    for (const name of ["showPreview", "takePreview", "settlePreview"]) delete window[name];
  });
  shown();

  // Another page of the account has another preview, or none.
  window.showPreview = (html) => {
    place.innerHTML = html;
    window.htmx?.process(place);
    shown();
  };

  // ---- Sending takes the preview away with the text, and brings it back where it was not taken, unless
  // another stands there by now; whether it does is what is answered.
  const waiting = new Map();
  window.takePreview = (token) => {
    clearTimeout(timer);
    window.htmx?.trigger(place, "htmx:abort");
    const { value } = field();
    waiting.set(token, [...place.childNodes]);
    clear();
    offer();
    asked = "";
    return value;
  };
  window.settlePreview = (token, sent) => {
    const nodes = waiting.get(token);
    const stays = !sent && Boolean(field().value);
    if (!stays) waiting.delete(token);
    const isBack = !sent && !stays && Boolean(nodes);
    if (isBack) place.replaceChildren(...nodes);
    offer();
    return isBack && Boolean(field().value);
  };
});
