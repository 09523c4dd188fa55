// Pictures in a thread: those whose sender's server would hear of it are fetched when somebody asks for them, and
// what is no picture leaves its file alone to be saved.
(() => {
  "use strict";
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-show]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const image = new Image(Number(link.dataset.width), Number(link.dataset.height));
    image.className = "picture__image";
    image.alt = link.dataset.alt;
    image.src = link.href;
    // Shown large by the same address.
    const large = Object.assign(document.createElement("a"), { className: "picture__link", href: link.href, target: "_blank", rel: "noopener noreferrer" });
    large.append(image, Object.assign(document.createElement("span"), { className: "sr", textContent: ` ${link.dataset.large}` }));
    const hadFocus = document.activeElement === link;
    link.replaceWith(large);
    if (hadFocus) large.focus();
  });
  // Errors of images do not bubble; they pass on their way down.
  document.addEventListener("error", (event) => {
    if (event.target.matches?.(".picture__image")) event.target.closest(".picture").hidden = true;
  }, true);
  window.eachPane(() => {
    for (const image of document.querySelectorAll(".picture__image")) {
      if (image.complete && !image.naturalWidth && image.loading !== "lazy") image.closest(".picture").hidden = true;
    }
  });
})();
