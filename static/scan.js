// Reads the other person's code with the camera or from a picture, and hands it in. Without script its text is pasted.
(() => {
  "use strict";
  const $ = (id) => document.getElementById(id);
  const box = $("scan");
  if (!box) return;
  const text = $("code");
  const picture = $("picture");
  const pictureState = $("picture-state");
  const dialog = $("camera");
  const video = dialog.querySelector("video");
  const state = $("camera-state");

  const START = "waxwing-keys/";
  const MOST_PIXELS_ACROSS = 1600;
  const PAUSE = 80;
  const CAMERA = { audio: false, video: { facingMode: { ideal: "environment" }, width: { ideal: 1280 }, height: { ideal: 720 } } };

  const builtIn = async () => {
    if (!("BarcodeDetector" in window)) return null;
    const formats = await BarcodeDetector.getSupportedFormats();
    if (!formats.includes("qr_code")) return null;
    const detector = new BarcodeDetector({ formats: ["qr_code"] });
    return async (source) => (await detector.detect(source)).map((code) => code.rawValue);
  };
  const brought = async () => {
    const { decodeQR } = await import(box.dataset.decoder);
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d", { willReadFrequently: true });
    return async (source, patience) => {
      const [width, height] = [source.videoWidth ?? source.width, source.videoHeight ?? source.height];
      const scale = Math.min(1, MOST_PIXELS_ACROSS / Math.max(width, height));
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
      context.drawImage(source, 0, 0, canvas.width, canvas.height);
      const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
      try { return [decodeQR(pixels, patience)]; } catch { return []; /* it throws where there is none */ }
    };
  };
  // Some browsers offer a reader whose part in the system is missing: that shows once it looks.
  const orBrought = (own) => {
    let read = own;
    return async (source, patience) => {
      try {
        if (read === own) return await own(source);
      } catch { read = await brought(); }
      return read(source, patience);
    };
  };
  let reader;
  const loadReader = async () => {
    const own = reader ? null : await builtIn().catch(() => null);
    reader ??= own ? orBrought(own) : await brought();
    return reader;
  };

  const compare = (code) => {
    text.value = code;
    text.form.requestSubmit();
  };

  // One look through the camera, from its opening until its dialog closes.
  let look = null;
  const say = (name) => {
    dialog.dataset.state = name;
    state.textContent = state.dataset[name];
  };
  const release = (stream) => stream.getTracks().forEach((track) => track.stop());
  const letGo = () => {
    look?.abort();
    look = null;
    if (video.srcObject) release(video.srcObject);
    video.srcObject = null;
  };
  const problemOf = (error) => {
    if (error.name === "NotAllowedError" || error.name === "SecurityError") return "denied";
    if (error.name === "NotFoundError" || error.name === "OverconstrainedError") return "missing";
    return error.name === "NotReadableError" ? "busy" : "failed";
  };
  const lookFor = async (signal) => {
    const read = await loadReader();
    while (!signal.aborted) {
      const found = video.videoWidth ? await read(video) : [];
      const code = found.find((value) => value.startsWith(START));
      if (signal.aborted) return;
      if (code) {
        letGo();
        say("found");
        compare(code);
        return;
      }
      if (found.length) say("other");
      await new Promise((go) => setTimeout(go, PAUSE));
    }
  };
  const open = async () => {
    const { signal } = look = new AbortController();
    say("asking");
    dialog.showModal();
    try {
      const stream = await navigator.mediaDevices.getUserMedia(CAMERA);
      if (signal.aborted) return release(stream);
      video.srcObject = stream;
      stream.getVideoTracks()[0].addEventListener("ended", () => { if (!signal.aborted) { letGo(); say("failed"); } });
      say("looking");
      await video.play();
      await lookFor(signal);
    } catch (error) {
      if (signal.aborted) return;
      letGo();
      say(problemOf(error));
    }
  };
  dialog.addEventListener("close", letGo);
  const leave = () => { if (dialog.open) dialog.close(); };
  addEventListener("pagehide", leave);
  document.addEventListener("visibilitychange", () => { if (document.hidden) leave(); });

  const readPicture = async (file) => {
    const bitmap = await createImageBitmap(file);
    try {
      const found = await (await loadReader())(bitmap, { effort: Infinity, timeLimit: 3000 });
      return found.find((value) => value.startsWith(START));
    } finally { bitmap.close(); }
  };
  picture.addEventListener("change", async () => {
    const file = picture.files[0];
    if (!file) return;
    pictureState.textContent = pictureState.dataset.looking;
    let code;
    try { code = await readPicture(file); } catch { /* no picture, or none that is understood */ }
    pictureState.textContent = pictureState.dataset[code ? "found" : "none"];
    if (code) compare(code);
  });

  box.hidden = false;
  const button = $("camera-open");
  button.hidden = !navigator.mediaDevices?.getUserMedia;
  button.addEventListener("click", open);
})();
