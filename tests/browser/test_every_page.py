"""What holds on every page: it fits, anyone can operate it, and nothing in it is refused or fails."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from demo.local_network import NetworkInfo
from tests.browser.accessibility import COLOURS, violations
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.every_page import pages_of
from tests.browser.forced_colours import unseen
from tests.browser.in_german import in_german, words_of
from tests.browser.more_contrast import show_anew, too_faint
from tests.browser.seeding import Seeded, seed
from tests.browser.visitors import NARROWEST, PHONE, WIDE, ZOOMED, composer
from tests.services.chromium import need_chromium
from tests.services.installations import RunningInstallation

#: Each page is looked at on each of these in both themes.
FORMS = {"phone": PHONE, "wide": WIDE}
SCREENS = [pytest.param(FORMS[name], id=name) for name in ("wide", "phone")]
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
#: Milliseconds after which to look again whether what changes with the theme or the window has arrived.
ARRIVED = 500


#: Also zoomed, in forced colours, with more contrast and in German, which take seconds each: one of every
#: kind of page.
LOOKED_AT_CLOSELY = frozenset(
    {"inbox", "conversation", "message", "people", "new-conversation", "compare", "mail", "keys"}
)


@pytest.fixture(scope="module")
def seeded(
    installation: RunningInstallation, local_network: NetworkInfo, first_visit_of: FirstVisitOf
) -> Seeded:
    for name in local_network.accounts:
        first_visit_of(name)
    return seed(installation, local_network)


def test_pages_fit_and_break_no_rule_of_accessibility(
    visit: Visit, seeded: Seeded, installation: RunningInstallation
) -> None:
    """Each is opened once, on a phone: what differs on another screen is up to the style sheets alone."""
    alice = visit("alice", viewport=PHONE, still=True, touch=False)
    found: dict[str, list[str]] = {}
    for name, way in pages_of(seeded, installation).items():
        alice.page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        way(alice.page)
        for form, screen in FORMS.items():
            alice.page.set_viewport_size(screen)  # type: ignore[arg-type]
            if problems := problems_of(alice.page, screen):
                found[f"{name}, {form}"] = problems
        if name not in LOOKED_AT_CLOSELY:
            continue
        if problems := [*problems_when_zoomed(alice.page), *lasting(unseen, alice.page)]:
            found[f"{name}, zoomed or in forced colours"] = problems
        if problems := lasting(too_faint, alice.page):
            found[f"{name}, with more contrast"] = problems
        if problems := problems_in_german(alice.page):
            found[f"{name}, in German"] = problems
    alice.excuse(r"status of (4(0[0349]|22)|503)")
    assert found == {}


def test_what_was_written_on_a_page_that_is_signed_out_meanwhile_does_too(
    visit: Visit, seeded: Seeded
) -> None:
    alice = visit("alice", viewport=PHONE, still=True)
    alice.page.goto(seeded.with_bob)
    alice.hear_no_news()
    composer(alice.page).fill("Not lost")
    alice.context.clear_cookies(name="session")
    alice.page.evaluate("HTMLFormElement.prototype.submit.call(document.querySelector('#text').form)")
    expect(alice.page.get_by_label("What you wrote")).to_have_value("Not lost")
    assert problems_on_each_screen(alice.page) == []
    alice.excuse(r"status of 40\d")


def test_the_sign_in_page_does_too(visit: Visit) -> None:
    stranger = visit("alice", signed_in=False, viewport=PHONE, still=True)
    assert problems_on_each_screen(stranger.page) == []
    stranger.page.get_by_label("Your handle").fill("nobody.test")
    stranger.page.get_by_label("Your handle").press("Enter")
    stranger.page.get_by_role("alert").wait_for()
    assert problems_on_each_screen(stranger.page) == []
    stranger.excuse(r"status of 4\d\d")


def test_a_page_that_is_too_wide_is_noticed(visit: Visit) -> None:
    alice = visit("alice", viewport=PHONE)
    assert too_wide(alice.page) == []
    alice.page.evaluate("document.querySelector('main').append('M'.repeat(200))")
    alice.page.evaluate("document.querySelector('main').style.whiteSpace = 'nowrap'")
    alice.page.evaluate("document.querySelector('main').style.width = '900px'")
    assert too_wide(alice.page) != []


def test_a_page_that_breaks_the_policy_or_a_rule_is_noticed(visit: Visit) -> None:
    alice = visit("alice")
    assert violations(alice.page) == []
    alice.page.evaluate(
        "document.querySelector('h1').innerHTML = '<img src=https://elsewhere.example/x.png>'"
    )
    assert violations(alice.page) != []
    assert any("refused by policy: img-src" in complaint for complaint in alice.complaints)
    assert "elsewhere.example" in alice.hosts
    alice.excuse("elsewhere.example")
    alice.hosts.discard("elsewhere.example")


def test_what_is_wrong_in_one_theme_alone_is_noticed(visit: Visit) -> None:
    """Its colours, and what it alone shows."""
    page = visit("alice", still=True).page
    page.goto("/undo-send/")
    assert problems_of(page, WIDE) == []
    page.locator("h1").evaluate("(h1) => { h1.style.color = 'light-dark(black, #333)'; }")
    (problem,) = problems_of(page, WIDE)
    assert problem.startswith("dark: color-contrast")
    page.locator("h1").evaluate("(h1) => { h1.style.color = ''; h1.append(new Image()); }")
    page.locator("h1 img").evaluate("(img) => { img.className = 'only-dark'; img.width = img.height = 20; }")
    (problem,) = problems_of(page, WIDE)
    assert problem.startswith("dark: image-alt")


def test_what_is_wrong_on_one_screen_alone_is_noticed(visit: Visit) -> None:
    page = visit("alice", viewport=WIDE, still=True).page
    page.goto("/undo-send/")
    assert problems_on_each_screen(page) == []
    page.locator("h1").evaluate("(h1) => { h1.style.width = '500px'; }")
    problems = problems_on_each_screen(page)
    assert problems
    assert {problem.split(": ")[0] for problem in problems} == {"phone"}
    assert page.viewport_size == WIDE


def test_what_is_faint_to_somebody_who_asks_for_more_contrast_is_noticed(visit: Visit) -> None:
    page = visit("alice", still=True).page
    page.goto("/undo-send/")
    assert too_faint(page) == []
    page.locator("main h1").evaluate("(h1) => { h1.style.color = 'light-dark(#888, #555)'; }")
    button = page.locator("main button")
    button.evaluate("({ style }) => Object.assign(style, { background: 'none', borderColor: '#888' })")
    assert {problem.split(": ")[1] for problem in too_faint(page)} == {
        "color-contrast-enhanced",
        "outline is faint",
    }


def test_what_cannot_be_seen_or_is_cut_off_or_english_is_noticed(visit: Visit) -> None:
    page = visit("alice", viewport=PHONE, still=True).page
    page.goto("/undo-send/")
    assert "Undo send" in words_of(page)
    assert [*unseen(page), *problems_when_zoomed(page), *problems_in_german(page)] == []
    page.reload()
    button = page.locator("main button")
    button.evaluate(
        "(button) => { button.style.outline = 'none'; button.setAttribute('aria-pressed', 'true'); }"
    )
    ring, state = unseen(page)
    assert (ring[:7], state[:12]) == ("no ring", "aria-pressed")
    button.evaluate(
        "({ style }) => Object.assign(style, { width: '1rem', padding: 0, whiteSpace: 'nowrap' })"
    )
    (cut,) = problems_when_zoomed(page)
    assert cut.startswith("cut off: <button")
    with in_german(page):
        assert "Undo send" not in words_of(page)


def problems_of(page: Page, screen: dict[str, int]) -> list[str]:
    """Of the page as it is open now, in both themes, and of its width on the narrowest screen."""
    need_chromium(page.context.browser, "a dark system")
    problems = lasting(too_wide, page)
    look_before: list[str] = []
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        show_anew(page)
        look = look_of(page)
        # What both show in the same places has nothing of its own in the second but its colours.
        more = shown_besides(look_before, look) if look_before else None
        look_before = look
        found = lasting(violations if more is None else partial(violations, rules=COLOURS), page)
        if more:
            found += problems_within(page, more)
        problems += [f"{theme}: {problem}" for problem in found]
    page.emulate_media(color_scheme="light")
    if screen == PHONE:
        page.set_viewport_size(NARROWEST)  # type: ignore[arg-type]
        problems += [f"narrowest: {problem}" for problem in lasting(too_wide, page)]
        page.set_viewport_size(screen)  # type: ignore[arg-type]
    return problems


def problems_on_each_screen(page: Page) -> list[str]:
    """The window has the size that it had before in the end."""
    before = page.viewport_size
    assert before
    problems = []
    for form, screen in FORMS.items():
        page.set_viewport_size(screen)  # type: ignore[arg-type]
        problems += [f"{form}: {problem}" for problem in problems_of(page, screen)]
    page.set_viewport_size(before)
    return problems


#: What one theme alone shows, without problems: the button that changes it stands on every page.
_without_problems: set[str] = set()


def problems_within(page: Page, places: list[int]) -> list[str]:
    """Of these elements, unless there were none the last time they stood on a page."""
    markup: str = page.evaluate(
        """(places) => {
          const all = document.querySelectorAll("body *");
          return places.map((place) => all[place]?.outerHTML).join();
        }""",
        places,
    )
    if markup in _without_problems:
        return []
    found = lasting(partial(violations, within=places), page)
    if not found:
        _without_problems.add(markup)
    return found


def problems_when_zoomed(page: Page) -> list[str]:
    page.set_viewport_size(ZOOMED)  # type: ignore[arg-type]
    return [*lasting(too_wide, page), *lasting(cut_off, page)]


def problems_in_german(page: Page) -> list[str]:
    """On the narrowest screen: the words are longer, and none of them is English."""
    english = words_of(page)
    page.set_viewport_size(NARROWEST)  # type: ignore[arg-type]
    with in_german(page):
        untranslated = [f"also in English: {words}" for words in words_of(page) & english]
        return [*untranslated, *lasting(too_wide, page), *lasting(cut_off, page)]


def lasting(check: Callable[[Page], list[str]], page: Page) -> list[str]:
    """What a check finds, and finds again and again: colours that are on their way have less contrast, and a
    window that was just made narrower has not laid out everything yet, which takes long on a busy machine."""
    found = check(page)
    for _again in range(10):
        if not found:
            break
        page.wait_for_timeout(ARRIVED)
        found = check(page)
    return found


def look_of(page: Page) -> list[str]:
    """Where each element is, in the page's order; nothing for those that are not shown."""
    look: list[str] = page.evaluate(
        """() => [...document.querySelectorAll("body *")].map((one) => {
          const { x, y, width, height } = one.getBoundingClientRect();
          return one.checkVisibility({ visibilityProperty: true }) ? [x, y, width, height].join() : "";
        })"""
    )
    return look


def shown_besides(before: list[str], now: list[str]) -> list[int] | None:
    """Which elements are shown that were not before; None where others moved, or are not the same."""
    if len(now) != len(before):
        return None
    changed = [place for place, look in enumerate(now) if look != before[place]]
    if any(now[place] and before[place] for place in changed):
        return None
    return [place for place in changed if now[place]]


def too_wide(page: Page) -> list[str]:
    """What reaches beyond the window sideways, in CSS pixels."""
    scrolls: list[str] = page.evaluate(
        """() => {
          const box = document.scrollingElement;
          const wide = [...document.querySelectorAll("body, main, .pane__scroll, .card")].filter(
            (one) => one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX !== "hidden");
          if (box.scrollWidth > innerWidth) wide.push(box);
          return wide.map((one) => `${one.tagName}.${one.className} is ${one.scrollWidth} wide`);
        }"""
    )
    return scrolls


def cut_off(page: Page) -> list[str]:
    """Controls that reach beyond the window or their card sideways, or are smaller than their words."""
    found: list[str] = page.evaluate(
        """() => {
          const isBox = (one) => one.matches("button, summary, .btn")
            && getComputedStyle(one).display !== "inline";
          const isSmall = ({ scrollWidth, clientWidth, scrollHeight, clientHeight }) =>
            scrollWidth > clientWidth + 1 || scrollHeight > clientHeight + 2;
          // A line of names that ends in dots is known to be longer.
          const isShortened = (one) => one.matches("a") && one.closest(".thread-head");
          return [...document.querySelectorAll("a[href], button, input, select, textarea, summary")]
            .filter((one) => {
              if (!one.checkVisibility({ visibilityProperty: true }) || one.closest(".sr")) return false;
              if (isShortened(one)) return false;
              const { left, right, width } = one.getBoundingClientRect();
              const around = one.closest(".menu__list, .card, .notice, .bubble")?.getBoundingClientRect();
              const [first, last] = around ? [around.left, around.right] : [0, innerWidth];
              return width > 0 && (left < first - 1 || right > last + 1 || (isBox(one) && isSmall(one)));
            })
            .map((one) => `cut off: ${one.outerHTML.slice(0, 160)}`);
        }"""
    )
    return found
