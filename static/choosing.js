// Says at once of a file that it is too large, in forms that send their files with everything else: nobody waits
// for an upload to be told so. Field: data-most (octets), data-too-large (what is said).
(() => {
  "use strict";
  document.addEventListener("change", ({ target }) => {
    if (!target.matches("input[type=file][data-too-large]")) return;
    const { most, tooLarge } = target.dataset;
    const isTooLarge = [...target.files].some(({ size }) => size > Number(most));
    target.setCustomValidity(isTooLarge ? tooLarge : "");
    if (isTooLarge) target.reportValidity();
  });
})();
