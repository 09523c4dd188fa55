// Files: uploaded as soon as they are chosen, and fetched with progress. Forms and links work without it.
window.eachPane((signal) => {
  "use strict";
  const $ = (selector, within = document) => within.querySelector(selector);
  const words = $("#upload-words")?.dataset;
  const list = $("#files");
  if (!words || !list) return;
  const say = (text) => { $("#files-said").textContent = text; };
  const token = () => $("[name=csrfmiddlewaretoken]", list.closest("form")).value;
  // As the server writes it.
  const size = (bytes) => {
    const [unit, name] = bytes < 1048576 ? [1024, "KB"] : [1048576, "MB"];
    const form = { minimumFractionDigits: 1, maximumFractionDigits: 1 };
    return `${(bytes / unit).toLocaleString(document.documentElement.lang || undefined, form)}\u00a0${name}`;
  };
  const answerOf = (xhr) => {
    try { return JSON.parse(xhr.responseText); } catch { return {}; }
  };

  // ---- Uploading, one file after the other.
  let queue = Promise.resolve();

  const fail = (item, sentence) => {
    const error = $(".error", item);
    error.textContent = sentence;
    error.hidden = false;
    $("progress", item).hidden = true;
    item.dataset.busy = "";
  };

  const upload = (item, file, address) => new Promise((done) => {
    if (!item.isConnected) return done();
    const bar = $("progress", item);
    const xhr = new XMLHttpRequest();
    item.addEventListener("gone", () => xhr.abort(), { once: true });
    xhr.upload.addEventListener("progress", (event) => {
      bar.value = Math.floor((event.loaded / event.total) * 100);
      // All of it is there; the agent is at work.
      if (event.loaded === event.total) {
        bar.removeAttribute("value");
        $("small", item).textContent = `${size(file.size)}, ${words.encrypting}`;
      }
    });
    xhr.addEventListener("loadend", () => {
      const answer = answerOf(xhr);
      if (xhr.status === 200 && answer.id) {
        const kept = document.createElement("input");
        Object.assign(kept, { type: "hidden", name: "file", value: answer.id });
        const named = document.createElement("input");
        Object.assign(named, { type: "hidden", name: `name-${answer.id}`, value: answer.name });
        item.append(kept, named);
        // A photo that became another type is called after that.
        for (const name of item.querySelectorAll("bdi")) name.textContent = answer.name;
        delete item.dataset.busy;
        bar.hidden = true;
        $("small", item).textContent = [answer.size, words.kept, answer.note].filter(Boolean).join(", ");
        say(`${answer.name}: ${[words.kept, answer.note].filter(Boolean).join(", ")}`);
        if (!$(".upload[data-busy]")) $("#files-wait").hidden = true;
      } else if (item.isConnected) {
        fail(item, answer.error || (xhr.status === 413 ? words.tooLarge : words.failed));
      }
      done();
    });
    xhr.open("POST", address);
    xhr.setRequestHeader("Accept", "application/json");
    xhr.setRequestHeader("X-CSRFToken", token());
    xhr.setRequestHeader("Content-Type", "application/octet-stream");
    xhr.setRequestHeader("X-File-Name", encodeURIComponent(file.name.toWellFormed?.() ?? file.name));
    if (/^[!-~]+$/.test(file.type)) xhr.setRequestHeader("X-File-Type", file.type);
    // A copy without a type of its own, so that the header above holds.
    xhr.send(file.slice(0, file.size, "application/octet-stream"));
  });

  const add = (file, { upload: address, most, mostFiles }) => {
    const item = $("#upload").content.cloneNode(true).firstElementChild;
    for (const name of item.querySelectorAll("bdi")) name.textContent = file.name;
    $("small", item).textContent = size(file.size);
    item.dataset.busy = "";
    list.append(item);
    if (file.size > Number(most)) fail(item, words.tooLarge);
    else if (list.children.length > Number(mostFiles)) fail(item, words.tooMany);
    else queue = queue.then(() => upload(item, file, address));
  };

  document.addEventListener("change", (event) => {
    const field = event.target;
    if (!field.matches("[data-upload]")) return;
    for (const file of field.files) add(file, field.dataset);
    field.value = "";
  }, { signal });

  list.addEventListener("files-chosen", (event) => {
    for (const file of event.detail) add(file, $("[data-upload]").dataset);
  });

  list.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const item = button.closest("li");
    const kept = $("[name=file]", item)?.value;
    item.dispatchEvent(new Event("gone"));
    item.remove();
    if (!$(".upload[data-busy]")) $("#files-wait").hidden = true;
    $("[data-upload]").focus();
    if (!kept) return;
    const headers = { "X-CSRFToken": token() };
    fetch(`${$("[data-upload]").dataset.upload}${kept}/remove/`, { method: "POST", headers }).catch(() => {});
  });

  // ---- Downloading: the browser saves nothing before all of it was checked.
  const save = (blob, name) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  };

  const fetching = new WeakMap();
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-download]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (fetching.has(link)) return fetching.get(link).abort();
    const note = $("small", link);
    const before = note.textContent;
    const xhr = new XMLHttpRequest();
    const bar = document.createElement("progress");
    const tell = (text) => { note.textContent = text; say(text); };
    fetching.set(link, xhr);
    link.setAttribute("aria-busy", "true");
    bar.max = 100;
    bar.setAttribute("aria-label", words.fetching);
    tell(words.fetching);
    note.after(bar);
    xhr.responseType = "blob";
    xhr.addEventListener("progress", (progress) => { bar.value = Math.floor((progress.loaded / progress.total) * 100); });
    xhr.addEventListener("loadend", async () => {
      fetching.delete(link);
      link.removeAttribute("aria-busy");
      bar.remove();
      // Where it was led elsewhere, that is another page and not the file.
      if (xhr.status === 200 && xhr.responseURL === link.href.split("#")[0]) {
        tell(words.fetched);
        note.textContent = before;
        save(xhr.response, link.dataset.download || "file");
      } else if (xhr.status) {
        const answer = await xhr.response.text().then(JSON.parse).catch(() => ({}));
        tell(answer.error || words.notFetched);
      } else tell(before);
    });
    xhr.addEventListener("error", () => setTimeout(tell, 0, words.notFetched));
    xhr.open("GET", link.href);
    xhr.setRequestHeader("Accept", "application/json");
    xhr.send();
  }, { signal });
});
