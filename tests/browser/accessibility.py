"""axe-core's rules, run in the page that a browser shows."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from demo.node_packages import NODE, NPM

#: package.json, its lock and npm's settings.
_SOURCE = Path(__file__).parent / "axe"
_GRAVE = ("serious", "critical")
#: WCAG 2.2 at A and AA, and what axe takes for good practice beyond.
_TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
#: Off unless it is asked for.
_ALSO = ("target-size",)
#: The rules that compare colours; the others look at elements, where they are, and what they say.
COLOURS = ("color-contrast", "link-in-text-block")
#: Those that take most of the time: looked at is one of all elements that look the same in the same places of
#: the page's structure.
_BY_LOOK = (*COLOURS, "color-contrast-enhanced")
#: What axe leaves to people, by its rule and its own word for why, and how it was decided.
_DECIDED = {("frame-tested", "frame-tested"): "What strangers designed; its words stand around it too."}
#: Axe does not decide about colours where something lies above the words or beside them, where they are a
#: letter alone, and where the ground has a picture. Here that is a menu's button that shows where the pointer
#: is, initials, numbers, and the arrow of a select: what counts is the ground that words and what is around
#: them have. Gives what is broken, and what stays undecided or turns out too faint.
_RUN = """async ({ within, options, rest, byLook }) => {
  const all = document.querySelectorAll("body *");
  const included = within?.map((place) => all[place]).filter(Boolean);
  // With whom it stands around it, what has the same words' look, and lies over and under the same.
  const looks = new Map([[null, ""]]);
  const lookOf = (one) => {
    if (!looks.has(one)) {
      const { backgroundColor, backgroundImage, opacity } = getComputedStyle(one);
      const own = [one.localName, one.className, backgroundColor, backgroundImage, opacity].join();
      looks.set(one, `${lookOf(one.parentElement)} > ${own}`);
    }
    return looks.get(one);
  };
  const wordsOf = (one) => {
    const { color, fontSize, fontWeight, textShadow, textDecorationLine, visibility } = getComputedStyle(one);
    const { x, y, width, height } = one.getBoundingClientRect();
    const pile = document.elementsFromPoint(x + width / 2, y + height / 2).map((each) =>
      `${each.localName}.${each.className}`);
    return [color, fontSize, fontWeight, textShadow, textDecorationLine, visibility, ...pile].join();
  };
  const hasWords = (one) => one.matches("a, input, select, textarea")
    || [...one.childNodes].some((each) => each.nodeType === Node.TEXT_NODE && each.data.trim());
  const examples = () => {
    const found = new Map();
    for (const one of all) {
      if (!hasWords(one) || (included && !included.some((each) => each.contains(one)))) continue;
      if (!one.checkVisibility({ visibilityProperty: true })) continue;
      const look = `${lookOf(one)} ${wordsOf(one)}`;
      if (!found.has(look)) found.set(look, one);
    }
    return [...found.values()];
  };
  const violations = [], incomplete = [];
  const run = async (include, rules) => {
    if (!rules || include?.length === 0) return;
    const said = await axe.run(include ? { include } : document, { ...options, ...rules, elementRef: true });
    violations.push(...said.violations);
    incomplete.push(...said.incomplete);
  };
  await run(included, rest);
  if (byLook) await run(examples(), byLook);
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const paint = (colours, opacity = 1) => {
    for (const [index, colour] of ["#fff", ...colours].entries()) {
      canvas.globalAlpha = index === colours.length ? opacity : 1;
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
    }
    canvas.globalAlpha = 1;
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((of255) => of255 / 255)
      .map((part) => (part <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4));
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const around = (one) => (one ? [...around(one.parentElement), getComputedStyle(one)] : []);
  const contrast = (one) => {
    const styles = around(one);
    const grounds = styles.map(({ backgroundColor }) => backgroundColor);
    const opacity = styles.reduce((all, { opacity }) => all * opacity, 1);
    const [light, dark] = [paint(grounds), paint([...grounds, styles.at(-1).color], opacity)]
      .map(luminance).sort((a, b) => b - a);
    return (light + .05) / (dark + .05);
  };
  const least = (one, enhanced) => {
    const { fontSize, fontWeight } = getComputedStyle(one);
    const large = parseFloat(fontSize) >= 24 || (parseFloat(fontSize) >= 18.66 && fontWeight >= 700);
    return enhanced ? (large ? 4.5 : 7) : large ? 3 : 4.5;
  };
  const lines = ({ nodes }) => nodes.map(({ html }) => html.slice(0, 160));
  const undecided = incomplete.flatMap(({ id, help, nodes }) => nodes.map((node) => {
    const { html, element, any, all, none } = node;
    const why = [...any, ...all, ...none].map(({ id, data }) => data?.messageKey ?? id).join(" ");
    const isColour = id.startsWith("color-contrast");
    // A picture lies over its initials, which are drawn in no colour of their own then.
    if (isColour && element.querySelector(":scope > img")) return undefined;
    const ratio = isColour ? contrast(element) : 0;
    if (isColour && ratio >= least(element, id.endsWith("enhanced"))) return undefined;
    const what = isColour ? `${ratio.toFixed(2)}:1` : why;
    return { id, why, line: `${id}: undecided: ${help}: ${html.slice(0, 160)} (${what})` };
  }).filter(Boolean));
  // What an open menu lies over is not to be hit there, but where it is once the menu is closed again.
  const liesBelowMenu = ({ element, any }) => document.querySelector("details.menu[open]")
    && !element.closest(".menu__list") && any.some(({ data }) => data?.messageKey?.includes("bscured"));
  const seen = violations
    .map((one) => ({
      ...one, nodes: one.nodes.filter((node) => one.id !== "target-size" || !liesBelowMenu(node)),
    }))
    .filter(({ nodes }) => nodes.length);
  const broken = seen.map(({ id, help, impact, nodes }) => ({
    impact,
    line: `${id}: ${help}: ${lines({ nodes }).slice(0, 4).join("; ")} (${nodes[0].failureSummary})`,
  }));
  return { broken, undecided };
}"""


def violations(
    page: Page,
    *,
    rules: Sequence[str] = (),
    within: Sequence[int] | None = None,
    only_grave: bool = False,
) -> list[str]:
    """However slight, or the serious and critical ones alone, of these rules or all: rule, what is wrong, and
    the elements, with what was found of the first; one line each. What axe does not decide counts, unless it
    was decided here. `within` are the elements to look at, by their places among those of the body; all else.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(f"{_script()}\n;void 0")
    # Preloading reads style sheets again by putting them into the page, which the policy refuses.
    options = {"resultTypes": ["violations", "incomplete"], "preload": False}
    rest: dict[str, object] | None
    if rules:
        rest = _only([rule for rule in rules if rule not in _BY_LOOK])
        by_look = _only([rule for rule in rules if rule in _BY_LOOK])
    else:
        without = {name: {"enabled": False} for name in _BY_LOOK}
        also = {name: {"enabled": True} for name in _ALSO}
        rest = {"runOnly": {"type": "tag", "values": [*_TAGS]}, "rules": {**without, **also}}
        by_look = _only(COLOURS)
    given = {"within": within, "options": options, "rest": rest, "byLook": by_look}
    found: dict[str, list[dict[str, Any]]] = page.evaluate(_RUN, given)
    broken = [one["line"] for one in found["broken"] if not only_grave or one["impact"] in _GRAVE]
    if only_grave:
        return broken
    return broken + [one["line"] for one in found["undecided"] if (one["id"], one["why"]) not in _DECIDED]


def _only(rules: Sequence[str]) -> dict[str, object] | None:
    return {"runOnly": {"type": "rule", "values": [*rules]}} if rules else None


@cache
def _script() -> str:
    return (_installed() / "node_modules" / "axe-core" / "axe.min.js").read_text()


def _installed() -> Path:
    """The folder with the package, installed once on this machine."""
    key = hashlib.sha256((_SOURCE / "package-lock.json").read_bytes()).hexdigest()[:16]
    cache_folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "waxwing"
    folder = cache_folder / f"axe-{key}"
    if folder.exists():
        return folder
    cache_folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_folder) as temporary:
        unfinished = Path(temporary) / "axe"
        shutil.copytree(_SOURCE, unfinished)
        subprocess.run(
            [NODE, NPM, "ci", "--ignore-scripts", "--no-progress"],
            cwd=unfinished,
            env={**os.environ, "PATH": f"{NODE.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"},
            check=True,
            capture_output=True,
            timeout=120,
        )
        unfinished.rename(folder)
    return folder
