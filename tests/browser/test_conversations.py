"""Messages between people whose windows are open, with everything behind the windows real."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from playwright.sync_api import expect

from demo.local_network import NetworkInfo
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.visitors import ARRIVAL, PHONE, ZOOMED, bubble, composer, message
from tests.services.installations import RunningInstallation
from tests.services.profiles import set_profile

TEXT = "Tide is out at six 🌊\nPath by the weir: https://river.example/weir?from=here#map\n<b>not bold</b>"


def test_in_a_low_window_a_conversation_begins_at_its_end_as_well(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    first_visit_of("bob")
    alice = visit("alice", viewport=ZOOMED)
    alice.start_conversation("bob.test", text="\n".join(["As long as the river"] * 30))
    alice.write("and here it ends")
    last = bubble(alice.page, "and here it ends").last
    expect(last).to_be_in_viewport(timeout=ARRIVAL)
    alice.page.reload()
    expect(last).to_be_in_viewport()
    expect(composer(alice.page)).to_be_in_viewport()


def test_a_message_and_its_answer_appear_in_open_windows(visit: Visit) -> None:
    """At a desk, and on a phone."""
    bob, alice = visit("bob", viewport=PHONE, touch=True), visit("alice")
    alice.start_conversation("bob.test", text=TEXT)
    sent = message(alice.page, "Tide is out")
    expect(sent.locator(".text")).to_have_text(TEXT, use_inner_text=True)
    expect(sent.locator(".msg__meta")).to_contain_text("Their server has it", timeout=ARRIVAL)

    # Bob's list was open all the time.
    row = bob.page.locator("#convos .row").first
    expect(row).to_contain_text("Tide is out at six", timeout=ARRIVAL)
    expect(row).to_contain_text(re.compile(r"unread: [0-9]"))
    expect(row.locator(".row__name bdi")).to_have_text("Alice")
    row.tap()
    received = message(bob.page, "Tide is out")
    expect(received.locator(".text")).to_have_text(TEXT, use_inner_text=True)
    expect(received.locator(".msg__author")).to_have_text("Alice")
    expect(received.locator(".msg__meta")).to_contain_text("Signed by alice.test")
    link = received.get_by_role("link", name="https://river.example")
    expect(link).to_have_attribute("href", "https://river.example/weir?from=here#map")
    expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")

    # And now the thread is open, here and there.
    bob.write("See you there 🎉")
    expect(composer(bob.page)).to_have_value("")
    expect(composer(bob.page)).to_be_focused()
    expect(message(bob.page, "See you there")).to_have_class(re.compile("msg--own"))
    answer = message(alice.page, "See you there 🎉")
    expect(answer.locator(".msg__meta")).to_contain_text("Signed by bob.test", timeout=ARRIVAL)
    alice.write("One more thing")
    expect(bubble(bob.page, "One more thing")).to_be_visible(timeout=ARRIVAL)
    expect(bubble(bob.page, "One more thing")).to_have_count(1)
    # Seen as it came, so nothing is unread.
    bob.page.get_by_role("link", name="Back to inbox").tap()
    expect(bob.page.locator("#convos .row").first).to_contain_text("One more thing")
    expect(bob.page.locator("#convos .row").first).not_to_contain_text("unread")


def test_the_words_change_while_the_other_opens_and_reads(visit: Visit) -> None:
    """Bob's second window agrees with his telephone about what he has read."""
    bob, alice = visit("bob", viewport=PHONE, touch=True), visit("alice")
    alice.start_conversation("bob.test", text="First, to be answered")
    path = urlsplit(alice.page.url).path
    bob.open_conversation(alice.page.url)
    bob.write("An answer, so that we know each other")
    expect(bubble(alice.page, "An answer")).to_be_visible(timeout=ARRIVAL)
    for visitor in (alice, bob):
        visitor.page.goto(f"{path}receipts/")
        visitor.page.get_by_label("That you have read it").check()
        visitor.page.get_by_role("button", name="Keep this").click()
        expect(visitor.page.get_by_role("status").first).to_be_visible()
    bob.page.goto("/")
    alice.page.goto(path)
    alice.write("Watch the words below")
    meta = message(alice.page, "Watch the words below").locator(".msg__meta")
    # Opened by his agent, and not yet looked at.
    expect(meta).to_contain_text("Opened on their device", timeout=ARRIVAL)
    second = visit("bob").page
    row = second.locator(f'#convos .row[href="{path}"]')
    expect(row).to_contain_text(re.compile(r"unread: [0-9]"))
    bob.open_conversation(alice.page.url)
    expect(bob.page.locator("#unread")).to_be_visible()
    expect(row).not_to_contain_text("unread", timeout=ARRIVAL)
    expect(meta).to_contain_text("Read by Bob", timeout=ARRIVAL)
    expect(bob.page.locator("#unread")).to_be_visible()

    bob.page.get_by_label("Conversation menu").tap()
    bob.page.get_by_role("button", name="Mark unread").tap()
    expect(row).to_contain_text("unread: 1", timeout=ARRIVAL)


def test_the_state_of_a_message_changes_while_one_looks(
    visit: Visit, first_visit_of: FirstVisitOf, installation: RunningInstallation
) -> None:
    first_visit_of("bob")
    alice, phone = visit("alice"), visit("alice", viewport=PHONE, touch=True)
    alice.start_conversation("bob.test", text="First, to have the thread open")
    phone.open_conversation(alice.page.url)
    shown = [message(each.page, "Watch this one").locator(".msg__meta") for each in (alice, phone)]
    installation.stop("worker")
    try:
        alice.write("Watch this one")
        for meta in shown:
            expect(meta).to_contain_text("Sealing", timeout=ARRIVAL)
            expect(meta).to_be_visible()
    finally:
        installation.start("worker")
    for meta in shown:
        expect(meta).to_contain_text("Their server has it", timeout=ARRIVAL)


def test_two_tabs_of_one_person_agree(visit: Visit) -> None:
    """However small one of them is."""
    alice, bob = visit("alice"), visit("bob")
    alice.start_conversation("bob.test", text="Written in the first tab")
    other = alice.another_tab()
    other.set_viewport_size(PHONE)  # type: ignore[arg-type]
    other.goto(alice.page.url)
    expect(bubble(other, "Written in the first tab")).to_be_visible()
    alice.write("Written there too, shown here")
    expect(bubble(other, "Written there too, shown here")).to_be_visible(timeout=ARRIVAL)
    meta = message(other, "Written there too, shown here").locator(".msg__meta")
    expect(meta).to_contain_text("Their server has it", timeout=ARRIVAL)

    bob.open_conversation(alice.page.url)
    bob.write("To both of your tabs")
    for tab in (alice.page, other):
        expect(bubble(tab, "To both of your tabs")).to_have_count(1, timeout=ARRIVAL)
    order = [page.locator("#thread .bubble").all_inner_texts()[-3:] for page in (alice.page, other)]
    assert (
        order[0]
        == order[1]
        == [
            "Written in the first tab",
            "Written there too, shown here",
            "To both of your tabs",
        ]
    )


def test_several_people_get_one_message_and_everybodys_answers(visit: Visit) -> None:
    alice, bob, carol = visit("alice"), visit("bob"), visit("carol", viewport=PHONE, touch=True)
    alice.start_conversation("bob.test", "carol.test", text="Supper on Saturday?")
    expect(message(alice.page, "Supper on Saturday").locator(".msg__meta")).to_contain_text(
        "Their servers have it", timeout=ARRIVAL
    )
    for guest in (bob, carol):
        row = guest.page.locator("#convos .row", has_text="Supper on Saturday?")
        expect(row).to_be_visible(timeout=ARRIVAL)
        row.click()
        expect(message(guest.page, "Supper on Saturday").locator(".msg__meta")).to_contain_text(
            "Signed by alice.test"
        )
    carol.write("I bring bread")
    for guest in (alice, bob):
        said = message(guest.page, "I bring bread")
        expect(said.locator(".msg__author")).to_have_text("Carol", timeout=ARRIVAL)
        expect(said.locator(".msg__meta")).to_contain_text("Signed by carol.test")


def test_a_handle_is_checked_as_it_is_typed(
    visit: Visit,
    first_visit_of: FirstVisitOf,
    installation: RunningInstallation,
    local_network: NetworkInfo,
) -> None:
    first_visit_of("bob")
    first_visit_of("carol")
    set_profile(local_network, "carol", display_name="Carol", picture=True)
    installation.a_day_passes()
    alice = visit("alice", viewport=PHONE)
    page = alice.page
    page.goto("/new/")
    field = page.get_by_label("To", exact=True)
    field.press_sequentially("nobody.test")
    expect(page.locator("#results").get_by_role("alert")).to_be_visible(timeout=ARRIVAL)
    field.fill("")
    field.press_sequentially("bob.test")
    found = page.locator("#results .result")
    expect(found).to_contain_text("Bob", timeout=ARRIVAL)
    expect(found).to_contain_text("Sealed both ways")
    expect(found.locator(".avatar")).to_have_text("B")
    field.press("Enter")
    expect(page.locator("#chips")).to_contain_text("Bob", timeout=ARRIVAL)
    expect(field).to_be_focused()
    expect(field).to_have_value("")

    field.press_sequentially("carol.test")
    picture = found.filter(has_text="Carol").locator("img")
    expect(picture).to_be_visible(timeout=ARRIVAL)
    page.wait_for_function("element => element.naturalWidth === 8", arg=picture.element_handle())
    assert urlsplit(picture.get_attribute("src") or "").netloc == ""
    field.fill("")

    alice.page.get_by_role("button", name="Remove Bob").click()
    expect(page.locator("#chips .chip")).to_have_count(0)


def test_details_open_beside_the_conversation_and_on_a_phone_instead_of_it(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    first_visit_of("carol")
    alice = visit("alice")
    alice.start_conversation("carol.test", text="What way does this take?")
    meta = message(alice.page, "What way").locator(".msg__meta")
    expect(meta).to_contain_text("Their server has it", timeout=ARRIVAL)
    composer(alice.page).fill("not sent yet")
    meta.get_by_role("link").click()
    side = alice.page.locator("#side")
    expect(side).to_contain_text("Signed by your own device")
    expect(side).to_contain_text("By HTTPS to")
    assert "/m/" in alice.page.url
    side.get_by_role("link", name="Close").click()
    expect(side).to_be_hidden()
    assert "/c/" in alice.page.url
    expect(composer(alice.page)).to_have_value("not sent yet")

    alice.page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    meta.get_by_role("link").click()
    expect(side).to_be_visible()
    expect(composer(alice.page)).to_be_hidden()
    side.get_by_role("link", name="Back to the conversation").click()
    expect(alice.page.locator("#thread")).to_be_visible()
