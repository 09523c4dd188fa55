"""What a page shows where the system picks the colours, and grounds and shadows are gone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page

from tests.services.chromium import need_chromium

#: What takes the focus without a ring that differs from how it looks at rest.
_WITHOUT_RING = """() => {
  const ringOf = (one) => {
    const { outline, outlineStyle, outlineWidth } = getComputedStyle(one);
    return outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 && outline;
  };
  const places = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']";
  document.activeElement.blur();
  // One of each look: to take the focus has all of a page's styles computed anew.
  const looks = new Set();
  const isFirst = (one) => {
    const look = [one, one.parentElement].map(({ tagName, className }) => `${tagName}.${className}`).join();
    return !looks.has(look) && looks.add(look);
  };
  return [...document.querySelectorAll(places)].filter(isFirst).filter((one) => {
    const stands = one.closest(one.matches("textarea") ? ".composer__box" : ".attach") ?? one;
    const before = ringOf(stands);
    one.focus({ preventScroll: true });
    if (document.activeElement !== one) return false;
    const ring = ringOf(stands);
    one.blur();
    return !ring || ring === before;
  }).map((one) => `no ring of its own: ${one.outerHTML.slice(0, 160)}`);
}"""
#: What is pressed or current, and looks the same where it is not; an icon of its own says so as well.
_STATES = """() => {
  const names = ["aria-current", "aria-pressed"];
  const look = (one) => {
    const { backgroundColor, outline, border, fontWeight, textDecoration } = getComputedStyle(one);
    return [backgroundColor, outline, border, fontWeight, textDecoration].join();
  };
  const those = (name) => [...document.querySelectorAll(`[${name}]:not([${name}="false"])`)].slice(0, 20);
  return names.flatMap((name) => those(name).filter((one) => {
    const value = one.getAttribute(name);
    const before = look(one);
    one.removeAttribute(name);
    const without = look(one);
    one.setAttribute(name, value);
    return one.checkVisibility() && !one.querySelector(":scope > svg") && before === without;
  }).map((one) => `${name} is not seen: ${one.outerHTML.slice(0, 160)}`));
}"""


@contextmanager
def forced_colours(page: Page) -> Iterator[None]:
    need_chromium(page.context.browser, "forced colours")
    page.emulate_media(forced_colors="active")
    try:
        yield
    finally:
        page.emulate_media(forced_colors="none")


def unseen(page: Page) -> list[str]:
    """Controls whose focus cannot be seen in forced colours, and those whose state cannot."""
    with forced_colours(page):
        # As for somebody at the keyboard; without a press a browser shows rings in fields alone.
        page.keyboard.press("Tab")
        found: list[str] = page.evaluate(_WITHOUT_RING) + page.evaluate(_STATES)
    return found
