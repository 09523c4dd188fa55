"""What a page shows to somebody who asks their system for more contrast."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page

from tests.browser.accessibility import violations
from tests.services.chromium import need_chromium

#: Where words have 7:1 (WCAG 2.2, 1.4.6 Contrast (Enhanced)).
_WORDS = ("color-contrast-enhanced",)
#: Controls with an outline that has less than this ratio to the ground around them.
_FAINT_OUTLINES = """(least) => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const paint = (colours) => {
    for (const colour of ["#fff", ...colours]) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((of255) => of255 / 255)
      .map((part) => (part <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4));
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const ratio = (one, other) => {
    const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (light + .05) / (dark + .05);
  };
  const groundOf = (one) => getComputedStyle(one).backgroundColor;
  const grounds = (one) => (one ? [...grounds(one.parentElement), groundOf(one)] : []);
  const controls = "button, .btn, input:not([type=hidden], [type=radio], [type=checkbox]), select, textarea, "
    + ".composer__box, .notice, .badge";
  return [...document.querySelectorAll(controls)].flatMap((one) => {
    const { borderTopStyle, borderTopWidth, borderTopColor } = getComputedStyle(one);
    if (!one.checkVisibility({ visibilityProperty: true }) || one.matches(":disabled, .sr")) return [];
    const around = grounds(one.parentElement);
    const ground = paint(around);
    const outlined = borderTopStyle !== "none" && parseFloat(borderTopWidth) > 0;
    const edge = outlined ? paint([...around, groundOf(one), borderTopColor]) : ground;
    const filled = paint([...around, groundOf(one)]);
    // What has neither outline nor ground is words alone, as a link is.
    if (`${edge}` === `${ground}` && `${filled}` === `${ground}`) return [];
    if (Math.max(ratio(edge, ground), ratio(filled, ground)) >= least) return [];
    return [`outline is faint: ${edge} around ${filled} on ${ground}: ${one.outerHTML.slice(0, 160)}`];
  });
}"""
_LEAST_OF_OUTLINES = 4.5
#: Chromium keeps the colours of parts of a page that is open while the system's wish changes; what is opened
#: or shown after that has the right ones.
_SHOWN_ANEW = """() => {
  const { documentElement } = document;
  documentElement.style.display = "none";
  documentElement.getBoundingClientRect();
  documentElement.style.display = "";
}"""
#: Milliseconds after which colours that change at once have changed.
_CHANGED = 50


def show_anew(page: Page) -> None:
    """After the system's wish changed: until its colours are those that the page would be opened with."""
    page.evaluate(_SHOWN_ANEW)
    page.wait_for_timeout(_CHANGED)


@contextmanager
def more_contrast(page: Page) -> Iterator[None]:
    need_chromium(page.context.browser, "a wish for more contrast")
    page.emulate_media(contrast="more")
    try:
        yield
    finally:
        page.emulate_media(contrast="no-preference")


def too_faint(page: Page) -> list[str]:
    """Words with less than 7:1 to their ground, and outlines with less than 4.5:1, in both themes."""
    found: list[str] = []
    with more_contrast(page):
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            show_anew(page)
            faint = page.evaluate(_FAINT_OUTLINES, _LEAST_OF_OUTLINES)
            found += [f"{theme}: {problem}" for problem in [*violations(page, rules=_WORDS), *faint]]
    page.emulate_media(color_scheme="light")
    return found
