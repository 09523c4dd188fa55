// People of the conversation to choose from while somebody types @ and the beginning of a name.
window.eachPane(() => {
  "use strict";
  const field = document.querySelector("#text");
  const list = document.querySelector("#mentions");
  if (!field || !list) return;
  const buttons = [...list.children];
  // As names are compared everywhere (accounts/folded_names.py): without accents and case.
  const IN_PLAIN = { ß: "ss", ø: "o", ł: "l", đ: "d", ħ: "h", ı: "i", æ: "ae", œ: "oe", þ: "th" };
  const folded = (text) => text.toLowerCase().normalize("NFKD").replace(/[\p{Mn}\p{Cf}\p{Cc}]/gu, "").replace(/[ßøłđħıæœþ]/g, (letter) => IN_PLAIN[letter]);
  const begun = () => /(?:^|\s)@([^\s@]*)$/.exec(field.value.slice(0, field.selectionStart))?.[1];

  const look = () => {
    const typed = begun();
    for (const button of buttons) {
      const { mention, name } = button.dataset;
      button.hidden = typed === undefined || mention.toLowerCase() === typed.toLowerCase() || ![mention, name].some((one) => folded(one).startsWith(folded(typed)));
    }
    list.hidden = buttons.every((button) => button.hidden);
  };
  const choose = (button) => {
    const typed = begun() ?? "";
    const end = field.selectionStart;
    field.focus();
    field.setRangeText(`@${button.dataset.mention} `, end - typed.length - 1, end, "end");
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };

  field.addEventListener("input", look);
  field.addEventListener("click", look);
  list.addEventListener("click", (event) => { const button = event.target.closest("button"); if (button) choose(button); });
  const near = (at, by) => {
    const shown = buttons.filter((button) => !button.hidden);
    return shown.at((shown.indexOf(at) + by) % shown.length);
  };
  // Among them with the arrows; whatever else is typed goes on in the field.
  list.addEventListener("keydown", (event) => {
    const { key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    event.stopPropagation();
    if (key === "ArrowDown" || key === "ArrowRight") near(event.target, 1).focus();
    else if (key === "ArrowUp" || key === "ArrowLeft") near(event.target, -1).focus();
    else if (key === "Escape") { list.hidden = true; field.focus(); }
    else { if (key.length === 1 && key !== " " || key === "Backspace") field.focus(); return; }
    event.preventDefault();
  });
  field.addEventListener("keydown", (event) => {
    if (list.hidden || event.ctrlKey || event.metaKey) return;
    if (event.key === "Escape") { event.preventDefault(); list.hidden = true; }
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      // Before the first one there is the field.
      (event.key === "ArrowDown" ? near(undefined, 1) : near(undefined, 0)).focus();
    } else if (event.key === "Enter" && !event.shiftKey && begun()) {
      event.preventDefault();
      choose(buttons.find((button) => !button.hidden));
    }
  });
});
