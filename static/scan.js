// Reads a code from a picture where the browser can; without, its text is pasted.
(() => {
  "use strict";
  const box = document.getElementById("scan");
  if (!box || !("BarcodeDetector" in window)) return;
  const picture = document.getElementById("picture");
  const state = document.getElementById("scan-state");
  const text = document.getElementById("code");

  const read = async (file) => {
    const bitmap = await createImageBitmap(file);
    const found = await new BarcodeDetector({ formats: ["qr_code"] }).detect(bitmap);
    return found.map((code) => code.rawValue).find((value) => value.startsWith("waxwing-keys"));
  };
  picture.addEventListener("change", async () => {
    const file = picture.files[0];
    if (!file) return;
    let value;
    try { value = await read(file); } catch { /* no picture, or none that is understood */ }
    if (value) text.value = value;
    state.textContent = value ? state.dataset.found : state.dataset.none;
  });
  BarcodeDetector.getSupportedFormats().then((formats) => { box.hidden = !formats.includes("qr_code"); }, () => {});
})();
