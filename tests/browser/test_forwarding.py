"""A message is forwarded to several at once: chosen one by one, named afterwards, taken back together."""

from __future__ import annotations

from urllib.parse import urlsplit
from uuid import uuid4

from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.accessibility import violations
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.test_every_page import too_wide
from tests.browser.test_taking_back import undo_of_30_seconds
from tests.browser.visitors import NARROWEST, PHONE, WIDE, Visitor, bubble, message
from tests.services.installations import RunningInstallation

BOB, CAROL = "Bob bob.test", "Carol carol.test"


def written(alice: Visitor, first_visit_of: FirstVisitOf, word: str) -> tuple[str, str, str]:
    """The paths of her conversations with Bob and with Carol, and that of a message in the one with both."""
    for name in ("bob", "carol"):
        first_visit_of(name)
    paths = []
    for handles in (("bob.test",), ("carol.test",), ("bob.test", "carol.test")):
        alice.write_to(*handles, text=f"For {' and '.join(handles)} {word}")
        paths.append(urlsplit(alice.page.url).path)
    with_bob, with_carol, with_both = paths
    alice.page.goto(with_both)
    alice.write(f"The ferry goes at nine {word}")
    shown = message(alice.page, f"ferry goes at nine {word}").last
    expect(shown).to_be_visible()
    return with_bob, with_carol, f"/m/{str(shown.get_attribute('id')).removeprefix('m')}/"


def box(page: Page, name: str) -> Locator:
    return page.get_by_role("checkbox", name=name, exact=True)


def chosen(page: Page) -> Locator:
    return page.get_by_role("group", name="Chosen").get_by_role("checkbox")


def search(page: Page, words: str) -> None:
    page.get_by_label("Find a conversation").fill(words)


def test_it_goes_to_each_that_was_chosen_and_all_of_it_can_be_taken_back(
    visit: Visit, first_visit_of: FirstVisitOf, installation: RunningInstallation
) -> None:
    word = uuid4().hex[:8]
    alice = visit("alice", viewport=PHONE)
    page = alice.page
    with_bob, with_carol, of_message = written(alice, first_visit_of, word)
    back = urlsplit(page.url).path

    def choose_both() -> None:
        search(page, "carol")
        expect(box(page, BOB)).to_have_count(0)
        box(page, CAROL).focus()
        page.keyboard.press("Space")
        search(page, "bob.te")
        expect(box(page, BOB)).to_be_visible()
        expect(chosen(page)).to_have_count(1)
        expect(box(page, CAROL)).to_be_checked()
        box(page, BOB).check()
        assert (too_wide(page), violations(page)) == ([], [])
        page.get_by_role("button", name="Forward", exact=True).press("Enter")

    said = page.locator("#conversation-notices .notice", has_text="Forwarded to:")
    with undo_of_30_seconds(page, installation):
        page.goto(f"{of_message}forward/")
        choose_both()
        expect(said.get_by_role("link")).to_have_text(["Carol", "Bob"])
        assert urlsplit(page.url).path == back
        expect(message(page, f"ferry goes at nine {word}").last).to_be_in_viewport()
        assert (too_wide(page), violations(page)) == ([], [])
        said.get_by_role("button", name="Undo").press("Enter")
        expect(page.locator("main > .notice[role=status]")).to_contain_text(
            "It was not forwarded to anybody."
        )
        for path in (with_bob, with_carol):
            page.goto(path)
            expect(bubble(page, f"For {'bob' if path == with_bob else 'carol'}.test {word}")).to_be_visible()
            expect(page.locator(".bubble", has_text="ferry goes at nine " + word)).to_have_count(0)
    page.goto(f"{of_message}forward/")
    choose_both()
    expect(said.get_by_role("button", name="Undo")).to_have_count(0)
    said.get_by_role("link", name="Bob").click()
    expect(bubble(page, f"ferry goes at nine {word}")).to_be_visible()
    page.goto(with_carol)
    expect(bubble(page, f"ferry goes at nine {word}")).to_be_visible()


def test_without_script_as_well(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    word = uuid4().hex[:8]
    _bob, with_carol, of_message = written(visit("alice"), first_visit_of, word)
    page = visit("alice", script=False, viewport=WIDE).page
    page.goto(f"{of_message}forward/")
    search(page, "carol")
    page.keyboard.press("Enter")
    expect(box(page, BOB)).to_have_count(0)
    box(page, CAROL).check()
    search(page, "bob")
    page.locator("noscript").get_by_role("button", name="Search").click()
    expect(chosen(page)).to_have_count(1)
    expect(box(page, CAROL)).to_be_checked()
    box(page, BOB).check()
    assert too_wide(page) == []
    page.get_by_role("button", name="Forward", exact=True).click()
    said = page.locator("#conversation-notices .notice", has_text="Forwarded to:")
    expect(said.get_by_role("link")).to_have_text(["Carol", "Bob"])
    page.goto(with_carol)
    expect(bubble(page, f"ferry goes at nine {word}")).to_be_visible()


def test_what_is_ticked_while_a_search_is_on_its_way_stays_chosen(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    word = uuid4().hex[:8]
    alice = visit("alice", service_worker=False)
    page = alice.page
    _bob, _carol, of_message = written(alice, first_visit_of, word)
    page.goto(f"{of_message}forward/")
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route(f"**{of_message}forward/", hold_the_first)
    with page.expect_request(lambda request: request.method == "POST"):
        search(page, "carol")
    box(page, BOB).check()
    held[0].continue_()
    expect(chosen(page)).to_have_count(1)
    expect(box(page, BOB)).to_be_checked()
    expect(box(page, CAROL)).not_to_be_checked()


def test_what_has_the_focus_is_not_under_the_button(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    word = uuid4().hex[:8]
    alice = visit("alice", viewport=NARROWEST)
    page = alice.page
    _bob, _carol, of_message = written(alice, first_visit_of, word)
    page.goto(f"{of_message}forward/")
    boxes = page.locator("#targets input[type=checkbox]")
    boxes.first.focus()
    for one in boxes.all()[1:]:
        page.keyboard.press("Tab")
        expect(one).to_be_focused()
        bar = page.locator(".forward-bar").bounding_box()
        place = one.bounding_box()
        assert bar
        assert place
        assert place["y"] + place["height"] <= bar["y"]
    assert (too_wide(page), violations(page)) == ([], [])
