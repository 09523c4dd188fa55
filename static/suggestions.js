// People to choose from while a name is typed: the field and their list as one combobox (WAI-ARIA, list autocomplete).
// Without script they are buttons of the form.
(() => {
  "use strict";
  const field = () => document.querySelector("input#who");
  const options = () => [...document.querySelectorAll("#suggestions [role='option']")];
  const chosen = () => options().find((option) => option.getAttribute("aria-selected") === "true");

  const choose = (option) => {
    for (const other of options()) other.setAttribute("aria-selected", String(other === option));
    if (!option) return field().removeAttribute("aria-activedescendant");
    field().setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  };
  const close = () => {
    document.querySelector("#suggestions")?.remove();
    field().setAttribute("aria-expanded", "false");
    choose();
  };
  const combine = () => {
    if (!field()) return;
    const list = document.querySelector("#suggestions");
    for (const [name, value] of [["role", "combobox"], ["aria-autocomplete", "list"], ["aria-controls", "suggestions"], ["aria-expanded", String(Boolean(list))]]) field().setAttribute(name, value);
    if (!list) return choose();
    list.setAttribute("role", "listbox");
    for (const item of list.children) {
      item.setAttribute("role", "none");
      item.firstElementChild.setAttribute("role", "option");
      // The focus stays in the field.
      item.firstElementChild.tabIndex = -1;
    }
    choose();
  };

  document.addEventListener("htmx:oobAfterSwap", (event) => { if (event.detail.target.id === "suggested") combine(); });
  document.addEventListener("mousedown", (event) => { if (event.target.closest("#suggestions")) event.preventDefault(); });
  document.addEventListener("keydown", (event) => {
    if (event.target !== field() || event.ctrlKey || event.metaKey || event.altKey) return;
    const all = options();
    const at = all.indexOf(chosen());
    if (event.key === "Escape" && all.length) close();
    else if (event.key === "ArrowDown" && all.length) choose(all[(at + 1) % all.length]);
    else if (event.key === "ArrowUp" && all.length) choose(all[at < 0 ? all.length - 1 : (at + all.length - 1) % all.length]);
    else if (event.key === "Enter" && at >= 0) all[at].click();
    else return;
    event.preventDefault();
  });
  combine();
})();
