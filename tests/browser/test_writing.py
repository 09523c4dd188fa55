"""What is written and not sent yet: kept as it is typed, taken back, or waiting for its time."""

from __future__ import annotations

import re
from base64 import b64encode
from datetime import date, timedelta
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from playwright.sync_api import Dialog, Locator, Page, Route, expect

from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.test_message_actions import menu
from tests.browser.visitors import ARRIVAL, NARROWEST, PHONE, WIDE, Visitor, bubble, composer, message
from tests.services.chromium import need_chromium
from tests.services.installations import RunningInstallation
from tests.webmail.pictures import photo

#: Long enough for a page to be loaded again meanwhile on a busy machine.
UNDO_SECONDS = 20


def test_a_draft_shows_in_every_browser_and_a_message_waits_for_its_time(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    word = uuid4().hex[:8]
    first_visit_of("bob")
    alice, elsewhere = visit("alice"), visit("alice")
    alice.write_to("bob.test", text=f"Begun {word}")
    conversation = urlsplit(alice.page.url).path

    # Typed in one browser, it is in the list of the other, and in its field; and the other way round.
    composer(alice.page).press_sequentially(f"half a thought {word}")
    row = elsewhere.page.locator(f'#convos .row[href="{conversation}"]')
    expect(row).to_contain_text(f"Draft: half a thought {word}", timeout=ARRIVAL)
    row.click()
    expect(composer(elsewhere.page)).to_have_value(f"half a thought {word}")
    composer(elsewhere.page).fill(f"a whole thought {word}")
    expect(composer(alice.page)).to_have_value(f"a whole thought {word}", timeout=ARRIVAL)

    # Given a time, it waits in both; the field is empty again.
    day = date.today() + timedelta(days=3)
    later = _send_later(alice.page)
    later.get_by_label("Day and time").fill(f"{day}T09:30")
    later.get_by_role("button", name="At that time").click()
    for page in (alice.page, elsewhere.page):
        expect(_waiting(page, f"a whole thought {word}")).to_contain_text(
            re.compile("Goes out .*9:30"), timeout=ARRIVAL
        )
        expect(composer(page)).to_have_value("", timeout=ARRIVAL)

    alice.page.get_by_label(re.compile("^Account menu")).click()
    alice.page.get_by_role("link", name="Scheduled").click()
    card = alice.page.locator(".scheduled li", has_text=word)
    expect(card).to_contain_text("9:30")
    card.get_by_role("link", name="Change time").click()
    field = alice.page.get_by_label("Day and time")
    expect(field).to_have_value(f"{day}T09:30")
    field.fill(f"{date.today() - timedelta(days=1)}T09:30")
    alice.page.get_by_role("button", name="At that time").click()
    expect(alice.page.get_by_role("alert")).to_contain_text("That time is over")
    alice.excuse("status of 422")
    alice.page.get_by_role("button", name="Tomorrow morning").click()
    expect(card).to_contain_text("8:00")
    expect(_waiting(elsewhere.page, word)).to_contain_text("8:00", timeout=ARRIVAL)

    # A page that lies open in another tab follows by itself.
    beside = alice.another_tab()
    beside.goto("/scheduled/")
    expect(beside.locator(".scheduled li", has_text=word)).to_contain_text("8:00")
    card.get_by_role("button", name="Send now").click()
    expect(card).to_have_count(0)
    expect(beside.locator(".scheduled li", has_text=word)).to_have_count(0, timeout=ARRIVAL)
    sent = message(elsewhere.page, f"a whole thought {word}").locator(".msg__meta")
    expect(sent).to_contain_text("Their server has it", timeout=ARRIVAL)
    expect(_waiting(elsewhere.page, word)).to_have_count(0)

    # Thrown away, it is nowhere.
    composer(elsewhere.page).fill(f"rather not {word}")
    _send_later(elsewhere.page).get_by_role("button", name="Tomorrow morning").click()
    waiting = _waiting(elsewhere.page, f"rather not {word}")
    waiting.get_by_role("link", name="Discard").click(timeout=ARRIVAL)
    waiting.get_by_role("button", name="Discard").click()
    expect(waiting).to_have_count(0, timeout=ARRIVAL)
    alice.page.goto("/scheduled/")
    expect(card).to_have_count(0)

    _paste_picture(elsewhere)
    pasted = elsewhere.page.locator("#files .upload")
    expect(pasted).to_contain_text(re.compile(r"image\.png.*KB, encrypted", re.DOTALL), timeout=ARRIVAL)
    elsewhere.write(f"as it looks {word}")
    expect(pasted).to_have_count(0)
    alice.page.goto(conversation)
    picture = message(alice.page, f"as it looks {word}").locator("img.picture__image")
    expect(picture).to_be_visible(timeout=ARRIVAL)
    alice.page.wait_for_function("image => image.naturalWidth === 900", arg=picture.element_handle())


def test_what_is_taken_back_is_in_the_field_again_and_never_arrives(
    visit: Visit, installation: RunningInstallation
) -> None:
    word = uuid4().hex[:8]
    with installation.set_otherwise("web", {"WAXWING_UNDO_SECONDS": str(UNDO_SECONDS)}):
        visit("bob").page.goto("about:blank")
        alice = visit("alice")
        alice.write_to("bob.test", text=f"This goes out {word}")
        page, conversation = alice.page, urlsplit(alice.page.url).path
        expect(_waiting(page, "This goes out")).to_contain_text("Sending in a moment")
        alice.write(f"This was too early {word}")
        expect(_waiting(page, "too early")).to_be_visible(timeout=ARRIVAL)
        page.reload()
        expect(_waiting(page, "too early")).to_contain_text("Sending in a moment")
        page.locator("#toasts").get_by_role("button", name="Undo").click()
        expect(composer(page)).to_have_value(f"This was too early {word}", timeout=ARRIVAL)
        expect(_waiting(page, "too early")).to_have_count(0)
        page.goto("about:blank")

    page.goto(conversation)
    expect(composer(page)).to_have_value(f"This was too early {word}")
    alice.write(f"This is in time {word}")
    bob = visit("bob")
    bob.open_conversation(f"{installation.url}{conversation}")
    expect(bubble(bob.page, f"This is in time {word}")).to_be_visible(timeout=ARRIVAL)
    expect(bubble(bob.page, f"This goes out {word}")).to_be_visible(timeout=ARRIVAL)
    expect(bubble(bob.page, f"This was too early {word}")).to_have_count(0)


def _write_in_vain(alice: Visitor, text: str) -> None:
    """Its first try does not come through before the page goes."""
    alice.page.route("**/send/", lambda route: None, times=1)
    with alice.page.expect_request("**/send/"):
        alice.write(text)


@pytest.mark.parametrize("more", ["", " 長い文" * 3500], ids=["short", "long"])
def test_what_was_sent_goes_out_though_its_page_is_left_at_once(
    visit: Visit, first_visit_of: FirstVisitOf, more: str
) -> None:
    word = uuid4().hex[:8]
    first_visit_of("bob")
    alice = visit("alice", viewport=WIDE)
    page = alice.page
    alice.write_to("bob.test", text=f"Begun {word}")
    with_bob = page.url
    _write_in_vain(alice, f"Sent and away {word}{more}")
    page.goto("/language/")
    page.goto(with_bob)
    expect(bubble(page, f"Sent and away {word}")).to_have_count(1)
    expect(composer(page)).to_have_value("")
    alice.excuse("htmx:", "Failed to load resource")


def test_what_waited_for_its_turn_goes_out_and_what_was_begun_since_is_kept_though_the_page_is_left(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    word = uuid4().hex[:8]
    first_visit_of("bob")
    alice = visit("alice", viewport=WIDE)
    page = alice.page
    alice.write_to("bob.test", text=f"Begun {word}")
    with_bob = page.url
    _write_in_vain(alice, f"Still on its way {word}")
    alice.write(f"Waits behind it {word}")
    composer(page).fill(f"Half a thought {word}")
    page.goto("/language/")
    page.goto(with_bob)
    expect(bubble(page, f"Still on its way {word}")).to_have_count(1)
    expect(bubble(page, f"Waits behind it {word}")).to_have_count(1)
    expect(composer(page)).to_have_value(f"Half a thought {word}")
    with page.expect_response("**/draft/keep/"):
        composer(page).fill("")
    alice.excuse("htmx:", "Failed to load resource")


def test_what_waits_for_its_turn_goes_out_in_its_order_though_the_page_is_left(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    word = uuid4().hex[:8]
    first_visit_of("bob")
    alice = visit("alice", viewport=WIDE)
    page = alice.page
    alice.write_to("bob.test", text=f"n0 {word}")
    with_bob = page.url
    _write_in_vain(alice, f"n1 {word}")
    for number in range(2, 9):
        alice.write(f"n{number} {word}")
    page.goto("/language/")
    page.goto(with_bob)
    own = page.locator("#thread .msg--own .bubble", has_text=word)
    expect(own).to_have_count(9, timeout=ARRIVAL)
    assert [text.split()[0] for text in own.all_inner_texts()] == [f"n{number}" for number in range(9)]
    alice.excuse("htmx:", "Failed to load resource")


@pytest.mark.parametrize("last", ["waits", "is being written"])
def test_where_more_is_left_than_a_browser_carries_it_asks_first(
    visit: Visit, first_visit_of: FirstVisitOf, last: str
) -> None:
    much = " 長い文" * 3000
    first_visit_of("bob")
    alice, word, held = _with_one_on_its_way(visit)
    page = alice.page
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    page.route("**/draft/keep/", lambda route: None)
    alice.write(f"one {word}{much}")
    composer(page).fill(f"two {word}{much}")
    if last == "waits":
        composer(page).press("Control+Enter")
    page.evaluate("location = '/language/'")
    expect(page).to_have_url(re.compile("/c/"))
    page.wait_for_timeout(1000)
    assert asked == ["beforeunload"]
    held[0].continue_()
    page.unroute("**/draft/keep/")
    if last != "waits":
        expect(bubble(page, f"one {word}")).to_be_visible(timeout=ARRIVAL)
        composer(page).press("Control+Enter")
    expect(bubble(page, f"two {word}")).to_be_visible(timeout=ARRIVAL)
    # Nothing is left: nobody is asked any more.
    page.goto("/language/")
    assert asked == ["beforeunload"]
    alice.excuse("htmx:", "Failed to load resource")


def test_what_is_sent_before_the_last_script_has_come_goes_out_once_it_has(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    word = uuid4().hex[:8]
    first_visit_of("bob")
    alice = visit("alice", viewport=WIDE)
    page = alice.page
    alice.write_to("bob.test", text=f"Begun {word}")
    held: list[Route] = []
    page.route(re.compile(r"/static/suggestions\.[0-9a-f]+\.js$"), lambda route: held.append(route))
    page.goto(page.url, wait_until="commit")
    page.wait_for_function("() => window.takeReply")
    for text in (f"early {word}", f"also early {word}"):
        alice.write(text)
        expect(composer(page)).to_have_value("")
    (route,) = held
    route.continue_()
    for text in (f"also early {word}", f"early {word}"):
        expect(bubble(page, text).last).to_be_visible()
    texts = page.locator("#thread .msg--own .bubble", has_text=word).all_inner_texts()
    assert [text.split(word)[0].strip() for text in texts] == ["Begun", "early", "also early"]


def _fails_behind_which_others_wait(alice: Visitor, first: str, *others: str, arrives: bool) -> list[str]:
    """The first gets to the server or not, and its answer does not come while the others wait; the texts of
    what goes out, also later."""
    page, held, sent = alice.page, [], []

    def hold(route: Route) -> None:
        held.append(route)

    page.on("request", lambda request: sent.append(request.url) if request.url.endswith("/send/") else None)
    page.route("**/send/", hold, times=1)
    for text in (first, *others):
        alice.write(text)
    expect(composer(page)).to_have_value("")
    (route,) = held
    if arrives:
        assert route.fetch().ok
    route.abort()
    alice.excuse("htmx:", "Failed to load resource", "ERR_FAILED")
    return sent


@pytest.mark.parametrize("arrives", [False, True], ids=["never got there", "answer lost"])
def test_messages_that_fail_together_are_in_the_field_in_their_order_and_each_goes_out_once(
    visit: Visit, first_visit_of: FirstVisitOf, arrives: bool
) -> None:
    word = uuid4().hex[:8]
    first_visit_of("bob")
    alice = visit("alice", viewport=WIDE)
    page = alice.page
    alice.write_to("bob.test", text=f"Begun {word}")
    one, two, three = (f"{number} {word}" for number in ("one", "two", "three"))
    sent = _fails_behind_which_others_wait(alice, one, two, three, arrives=arrives)
    expect(composer(page)).to_have_value(f"{one}\n{two}\n{three}")
    expect(page.locator("#not-sent")).to_be_visible()
    page.wait_for_timeout(500)
    assert len(sent) == 1
    expect(composer(page)).to_have_value(f"{one}\n{two}\n{three}")
    expect(page.locator("#not-sent")).to_be_visible()

    # More is written behind them. What got there before is known by its token.
    composer(page).press("End")
    composer(page).press_sequentially(f"! And four {word}")
    composer(page).press("Control+Enter")
    for text in (one, two, f"{three}! And four {word}"):
        expect(bubble(page, text)).to_have_count(1, timeout=ARRIVAL)
    expect(page.locator("#not-sent")).to_be_hidden()
    texts = page.locator("#thread .msg--own .bubble", has_text=word).all_inner_texts()
    assert [text.split()[0] for text in texts] == ["Begun", "one", "two", "three"]
    # Those words again are another message.
    alice.write(one)
    expect(bubble(page, one)).to_have_count(2, timeout=ARRIVAL)
    alice.excuse("htmx:", "Failed to load resource", "ERR_FAILED")


def test_messages_that_waited_behind_a_refused_one_stay_messages_of_their_own(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    word = uuid4().hex[:8]
    first_visit_of("bob")
    alice = visit("alice", viewport=WIDE)
    page = alice.page
    alice.write_to("bob.test", text=f"Begun {word}")
    texts = [f"{number} {word}" for number in ("first", "second", "third")]
    held: list[Route] = []
    page.route("**/send/", lambda route: held.append(route), times=1)
    for text in texts:
        alice.write(text)
    # With half of its token it is none that the server takes.
    body = held[0].request.post_data_buffer or b""
    held[0].continue_(post_data=re.sub(rb'(name="token"\s+[0-9a-f]{16})[0-9a-f]{16}', rb"\1", body))
    expect(page.locator("#composer-state [role=alert]")).to_be_visible()
    expect(composer(page)).to_have_value("\n".join(texts))
    composer(page).press("Control+Enter")
    for text in texts:
        expect(bubble(page, text)).to_have_count(1, timeout=ARRIVAL)
    shown = page.locator("#thread .msg--own .bubble", has_text=word).all_inner_texts()
    assert [text.split()[0] for text in shown] == ["Begun", "first", "second", "third"]
    alice.excuse("status of 422", "Error Code 422")


def test_a_time_is_for_the_message_that_it_was_chosen_for(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    first_visit_of("bob")
    alice, word, held = _with_one_on_its_way(visit)
    page = alice.page
    day = date.today() + timedelta(days=3)
    alice.write(f"now {word}")
    _send_at(page, f"that day {word}", f"{day}T09:30")
    composer(page).fill(f"tomorrow {word}")
    _send_later(page).get_by_role("button", name="Tomorrow morning").click()
    alice.write(f"also now {word}")
    # A time that is chosen meanwhile for the next one is not lost.
    _send_later(page).get_by_label("Day and time").fill(f"{day}T10:45")
    held[0].continue_()
    for text in ("on its way", "now", "also now"):
        expect(bubble(page, f"{text} {word}").last).to_be_visible(timeout=ARRIVAL)
    expect(_waiting(page, f"that day {word}")).to_contain_text("9:30", timeout=ARRIVAL)
    expect(_waiting(page, f"tomorrow {word}")).to_contain_text("8:00", timeout=ARRIVAL)
    expect(page.locator("#pending .msg", has_text=word)).to_have_count(2)
    expect(page.locator("#when")).to_have_value(f"{day}T10:45")


def test_what_was_not_taken_keeps_its_time_and_goes_at_another_that_is_pressed_for(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    first_visit_of("bob")
    alice, word, held = _with_one_on_its_way(visit)
    page = alice.page
    day = date.today() + timedelta(days=3)
    _send_at(page, f"that day {word}", f"{day}T09:30")
    expect(page.locator("#when")).to_have_value("")
    held[0].abort()
    expect(composer(page)).to_have_value(f"on its way {word}\nthat day {word}")
    expect(page.locator("#when")).to_have_value(f"{day}T09:30")
    composer(page).press("End")
    composer(page).press_sequentially(", or so")
    _send_later(page).get_by_role("button", name="Tomorrow morning").click()
    for text in (f"on its way {word}", f"that day {word}, or so"):
        expect(_waiting(page, text)).to_contain_text("8:00", timeout=ARRIVAL)
    expect(page.locator("#pending .msg", has_text=word)).to_have_count(2)
    expect(page.locator("#thread .msg--own", has_text=word)).to_have_count(1)
    alice.excuse("htmx:", "Failed to load resource", "ERR_FAILED")


@pytest.mark.parametrize("more", ["", ", or so"], ids=["as it was", "changed"])
def test_what_was_pressed_for_tomorrow_and_not_taken_waits_for_tomorrow(
    visit: Visit, first_visit_of: FirstVisitOf, more: str
) -> None:
    first_visit_of("bob")
    word = uuid4().hex[:8]
    alice = visit("alice", viewport=WIDE)
    page = alice.page
    alice.write_to("bob.test", text=f"Begun {word}")
    page.route("**/send/", lambda route: route.abort(), times=1)
    composer(page).fill(f"tomorrow {word}")
    _send_later(page).get_by_role("button", name="Tomorrow morning").click()
    expect(composer(page)).to_have_value(f"tomorrow {word}")
    composer(page).press("End")
    composer(page).press_sequentially(more)
    composer(page).press("Control+Enter")
    expect(_waiting(page, f"tomorrow {word}{more}")).to_contain_text(
        re.compile("Goes out .*8:00"), timeout=ARRIVAL
    )
    expect(page.locator("#thread .msg--own", has_text=f"tomorrow {word}")).to_have_count(0)
    alice.excuse("htmx:", "Failed to load resource", "ERR_FAILED")


def test_of_several_that_were_not_taken_each_keeps_its_time(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    first_visit_of("bob")
    alice, word, held = _with_one_on_its_way(visit)
    page = alice.page
    day = date.today() + timedelta(days=3)
    _send_at(page, f"that day {word}", f"{day}T09:30")
    alice.write(f"now please {word}")
    held[0].abort()
    expect(composer(page)).to_have_value(f"on its way {word}\nthat day {word}\nnow please {word}")
    composer(page).press("Control+Enter")
    for text in ("on its way", "now please"):
        expect(bubble(page, f"{text} {word}")).to_be_visible(timeout=ARRIVAL)
    expect(_waiting(page, f"that day {word}")).to_contain_text("9:30", timeout=ARRIVAL)
    expect(page.locator("#pending .msg", has_text=word)).to_have_count(1)
    alice.excuse("htmx:", "Failed to load resource", "ERR_FAILED")


def test_a_time_that_is_taken_away_from_what_was_not_taken_is_none(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    first_visit_of("bob")
    alice, word, held = _with_one_on_its_way(visit)
    page = alice.page
    _send_at(page, f"that day {word}", f"{date.today() + timedelta(days=3)}T09:30")
    held[0].abort()
    expect(composer(page)).to_have_value(f"on its way {word}\nthat day {word}")
    _send_later(page).get_by_label("Day and time").fill("")
    composer(page).press("Control+Enter")
    for text in ("on its way", "that day"):
        expect(bubble(page, f"{text} {word}")).to_be_visible(timeout=ARRIVAL)
    alice.excuse("htmx:", "Failed to load resource", "ERR_FAILED")


def test_what_was_to_begin_a_topic_and_was_not_taken_begins_it(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    first_visit_of("bob")
    word = uuid4().hex[:8]
    alice = visit("alice", viewport=WIDE)
    page = alice.page
    alice.write_to("bob.test", text=f"Begun {word}")
    page.route("**/send/", lambda route: route.abort(), times=1)
    composer(page).fill(f"A walk {word}")
    page.locator(".composer .later", has_text="Topics").locator("summary").click()
    page.get_by_role("button", name="Send, and begin a topic").click()
    expect(composer(page)).to_have_value(f"A walk {word}")
    composer(page).press("Control+Enter")
    page.wait_for_url(re.compile("/t/"))
    expect(bubble(page, f"A walk {word}")).to_be_visible()
    alice.excuse("htmx:", "Failed to load resource", "ERR_FAILED")


def test_a_quote_stays_with_the_message_that_it_was_chosen_for(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    first_visit_of("bob")
    alice, word, held = _with_one_on_its_way(visit)
    page = alice.page
    menu(page, f"Begun {word}").get_by_role("link", name="Reply").click()
    expect(page.locator("#composer-reply")).to_contain_text("Begun", timeout=ARRIVAL)
    alice.write(f"answering {word}")
    expect(page.locator("#composer-reply")).not_to_contain_text("Begun")
    held[0].abort()
    expect(composer(page)).to_have_value(f"on its way {word}\nanswering {word}")
    expect(page.locator("#composer-reply")).to_contain_text("Begun")
    composer(page).press("Control+Enter")
    expect(message(page, f"answering {word}").locator(".quote")).to_contain_text("Begun", timeout=ARRIVAL)
    expect(message(page, f"on its way {word}").locator(".quote")).to_have_count(0)
    alice.excuse("htmx:", "Failed to load resource", "ERR_FAILED")


@pytest.mark.parametrize("then", ["answering the other", ""], ids=["written", "to be written"])
def test_a_quote_that_was_chosen_since_is_for_what_comes_next(
    visit: Visit, first_visit_of: FirstVisitOf, then: str
) -> None:
    first_visit_of("bob")
    word = uuid4().hex[:8]
    alice = visit("alice", viewport=WIDE)
    page = alice.page
    alice.write_to("bob.test", text=f"Begun {word}")
    alice.write(f"Other {word}")
    expect(bubble(page, f"Other {word}")).to_be_visible(timeout=ARRIVAL)
    above = page.locator("#composer-reply")
    menu(page, f"Begun {word}").get_by_role("link", name="Reply").click()
    expect(above).to_contain_text("Begun", timeout=ARRIVAL)
    held: list[Route] = []
    page.route("**/send/", lambda route: held.append(route), times=1)
    alice.write(f"saying so {word}")
    menu(page, f"Other {word}").get_by_role("link", name="Reply").click()
    expect(above).to_contain_text("Other", timeout=ARRIVAL)
    composer(page).fill(then)
    held[0].abort()
    texts = [f"saying so {word}", *([then] if then else [])]
    expect(composer(page)).to_have_value("\n".join(texts))
    expect(above).to_contain_text("Other")
    composer(page).press("Control+Enter")
    expect(message(page, f"saying so {word}").locator(".quote")).to_contain_text("Begun", timeout=ARRIVAL)
    if then:
        expect(message(page, then).locator(".quote")).to_contain_text("Other", timeout=ARRIVAL)
    else:
        expect(above).to_contain_text("Other")
        above.get_by_role("link").click()
    expect(above).not_to_contain_text("Other")
    alice.excuse("htmx:", "Failed to load resource", "ERR_FAILED")


def test_of_two_quotes_the_second_comes_above_the_field_once_the_first_has_gone_out(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    first_visit_of("bob")
    alice, word, held = _with_one_on_its_way(visit)
    page, above = alice.page, alice.page.locator("#composer-reply")
    for text in ("one", "two"):
        menu(page, f"Begun {word}").get_by_role("link", name="Reply").click()
        expect(above).to_contain_text("Begun", timeout=ARRIVAL)
        alice.write(f"{text} {word}")
    held[0].abort()
    expect(composer(page)).to_have_value(f"on its way {word}\none {word}\ntwo {word}")
    tried: list[Route] = []

    def third_fails(route: Route) -> None:
        tried.append(route)
        if len(tried) == 3:
            route.abort()
        else:
            route.continue_()

    page.route("**/send/", third_fails)
    composer(page).press("Control+Enter")
    expect(composer(page)).to_have_value(f"two {word}")
    expect(above).to_contain_text("Begun")
    above.get_by_role("link").click()
    composer(page).press("Control+Enter")
    expect(bubble(page, f"two {word}")).to_be_visible(timeout=ARRIVAL)
    expect(message(page, f"one {word}").locator(".quote")).to_contain_text("Begun")
    expect(message(page, f"two {word}").locator(".quote")).to_have_count(0)
    alice.excuse("htmx:", "Failed to load resource", "ERR_FAILED")


@pytest.mark.parametrize("more", ["", " 長い文" * 3500], ids=["short", "long"])
def test_what_was_written_is_kept_though_its_page_is_left_at_once(
    visit: Visit, first_visit_of: FirstVisitOf, more: str
) -> None:
    word = uuid4().hex[:8]
    first_visit_of("bob")
    alice = visit("alice")
    page = alice.page
    alice.write_to("bob.test", text=f"Begun {word}")
    with_bob = page.url
    page.evaluate(
        """(text) => {
          const field = document.querySelector("#text");
          const { fetch } = window;
          // Whatever else may let it arrive, browsers promise it for these alone.
          window.fetch = (address, options) => {
            sessionStorage.outlivesPage = options.keepalive;
            return fetch(address, options);
          };
          field.value = text;
          field.dispatchEvent(new Event("input", { bubbles: true }));
          location = "/language/";
        }""",
        f"Half a thought {word}{more}",
    )
    page.wait_for_url("**/language/")
    assert page.evaluate("sessionStorage.outlivesPage") == "true"
    page.goto(with_bob)
    expect(composer(page)).to_have_value(f"Half a thought {word}{more}")
    with page.expect_response("**/draft/keep/"):
        composer(page).fill("")


def test_nothing_stands_between_the_server_and_what_a_page_posts_as_it_goes(visit: Visit) -> None:
    """A service worker in between loses one in thirty of such posts."""
    alice = visit("alice")
    page = alice.page
    need_chromium(page.context.browser, "routes of a service worker")
    page.wait_for_function("() => navigator.serviceWorker.controller")
    passed_by: str = page.evaluate(
        """() => new Promise((resolve) => {
          const { href } = new URL("/?posted", location);
          new PerformanceObserver((list) => {
            for (const entry of list.getEntriesByName(href)) resolve(entry.workerMatchedSourceType);
          }).observe({ type: "resource" });
          fetch(href, { method: "POST" });
        })"""
    )
    assert passed_by == "network"
    alice.excuse("status of 403")


def test_a_draft_goes_on_being_kept_where_its_sending_was_stopped(visit: Visit) -> None:
    word = uuid4().hex[:8]
    page = visit("alice").page
    page.goto("/new/")
    field = page.get_by_label("Message", exact=True)
    with page.expect_response("**/new/draft/", timeout=ARRIVAL):
        field.fill(f"Half a thought {word}")
    # An answer that does not come.
    page.route("**/new/", lambda route: None)
    with page.expect_response("**/new/draft/", timeout=ARRIVAL) as kept:
        field.evaluate(
            """(field, text) => {
              field.form.requestSubmit();
              setTimeout(() => {
                window.stop();
                field.value = text;
                field.dispatchEvent(new Event("input", { bubbles: true }));
              }, 500);
            }""",
            f"Half a thought {word}, and more",
        )
    need_chromium(page.context.browser, "what a page posted")
    assert "more" in (kept.value.request.post_data or "")
    page.unroute("**/new/")
    with page.expect_response("**/new/draft/", timeout=ARRIVAL):
        field.evaluate("""field => {
          field.value = "";
          field.dispatchEvent(new Event("input", { bubbles: true }));
        }""")


def test_what_takes_long_to_be_sent_is_not_kept_meanwhile(visit: Visit) -> None:
    page = visit("alice").page
    page.goto("/new/")
    field = page.get_by_label("Message", exact=True)
    with page.expect_response("**/new/draft/", timeout=ARRIVAL):
        field.fill(f"Half a thought {uuid4().hex[:8]}")
    page.route("**/new/", lambda route: None)
    # Time passes where a timer is rung; the answer does not come.
    kept = field.evaluate("""field => {
      const timers = new Map(), kept = [];
      let made = 0;
      window.setTimeout = (work) => { timers.set(++made, work); return made; };
      window.clearTimeout = (timer) => timers.delete(timer);
      window.fetch = (address, { body }) => { kept.push(body.get("text")); return new Promise(() => {}); };
      const type = (text) => {
        field.value = text;
        field.dispatchEvent(new Event("input", { bubbles: true }));
        for (const [timer, work] of [...timers]) { timers.delete(timer); work(); }
      };
      const text = field.value;
      field.form.requestSubmit();
      type(text);
      type("Another thought");
      return kept;
    }""")
    assert kept == ["Another thought"]
    page.unroute("**/new/")


def test_a_page_from_which_nothing_is_taken_any_more_says_so_and_keeps_its_text(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    first_visit_of("bob")
    word = uuid4().hex[:8]
    alice = visit("alice", viewport=PHONE)
    page = alice.page
    alice.write_to("bob.test", text=f"Begun {word}")
    # The answer to news that were asked for before would bring the cookie back.
    alice.hear_no_news()
    alice.context.clear_cookies(name="csrf")
    with page.expect_response("**/draft/keep/"):
        composer(page).fill(f"Half a thought {word}")
    too_old = page.get_by_role("alert").filter(has_text="This page is too old. Copy your text, reload")
    expect(too_old).to_be_visible()
    for other in (page.get_by_text("What you type is not kept"), page.locator("#not-sent")):
        expect(other).to_be_hidden()
    with page.expect_response("**/send/"):
        page.get_by_role("button", name="Send", exact=True).click()
    expect(composer(page)).to_have_value(f"Half a thought {word}")
    expect(too_old).to_be_in_viewport(ratio=1)
    expect(page.locator("#not-sent")).to_be_hidden()
    alice.excuse("status of 403", "Response Status Error Code 403")
    page.reload()
    alice.write(f"A whole thought {word}")
    expect(bubble(page, f"A whole thought {word}")).to_be_visible()


@pytest.mark.parametrize(
    "name",
    [
        "The people who walk along the river every other Sunday",
        "\u05de\u05d9 \u05e9\u05d4\u05d5\u05dc\u05da " * 5,
    ],
    ids=["long", "right to left"],
)
def test_a_long_name_is_cut_short_in_the_field_at_its_own_end(
    name: str, visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    first_visit_of("bob")
    first_visit_of("carol")
    alice = visit("alice", viewport=NARROWEST)
    page, name = alice.page, name.strip()
    alice.write_to("bob.test", "carol.test", text="A walk on Sunday?")
    conversation = page.url
    page.goto(f"{conversation}people/")
    page.get_by_label("Name of this group").fill(name)
    page.get_by_role("button", name="Name it").click()
    page.goto(conversation)
    hint = page.locator(".composer__hint bdi", has_text=name)
    expect(hint).to_be_visible(timeout=ARRIVAL)
    expect(page.get_by_role("textbox", name=f"Message to {name}")).to_be_visible()
    begins, ends, style, scrolls = hint.evaluate(
        """hint => {
          const name = hint.firstChild, letters = document.createRange();
          const send = document.querySelector("[data-send]");
          letters.setStart(name, 0);
          letters.setEnd(name, 1);
          const first = letters.getBoundingClientRect(), box = hint.getBoundingClientRect();
          const shown = box.left <= first.left + 1 && first.right <= box.right + 1;
          return [shown, box.right <= send.getBoundingClientRect().left, getComputedStyle(hint).textOverflow,
            hint.scrollWidth > hint.clientWidth];
        }"""
    )
    assert begins, "its first letter is to be seen"
    assert ends, "it is not under the button"
    assert (style, scrolls) == ("ellipsis", True)
    composer(page).fill("Words")
    expect(hint).to_be_hidden()


def _with_one_on_its_way(visit: Visit) -> tuple[Visitor, str, list[Route]]:
    """Alice in the conversation with Bob, where what she wrote first does not get through yet; the word that
    is in all of it, and where its request is held."""
    word = uuid4().hex[:8]
    alice = visit("alice", viewport=WIDE)
    alice.write_to("bob.test", text=f"Begun {word}")
    held: list[Route] = []
    alice.page.route("**/send/", lambda route: held.append(route), times=1)
    alice.write(f"on its way {word}")
    return alice, word, held


def _send_later(page: Page) -> Locator:
    """What "Send later" opens."""
    menu = page.locator(".composer .later", has_text="Send later")
    menu.locator("summary").click()
    return menu.locator(".menu__list")


def _send_at(page: Page, text: str, time: str) -> None:
    composer(page).fill(text)
    later = _send_later(page)
    later.get_by_label("Day and time").fill(time)
    later.get_by_role("button", name="At that time").click()


def _waiting(page: Page, text: str) -> Locator:
    """What the open conversation has waiting below its thread."""
    return page.locator("#pending .msg", has_text=text)


def _paste_picture(visitor: Visitor) -> None:
    """By the clipboard, as it holds a part of the screen."""
    visitor.use_clipboard()
    visitor.page.evaluate(
        """async (base64) => {
          const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
          const picture = new Blob([bytes], { type: "image/png" });
          await navigator.clipboard.write([new ClipboardItem({ "image/png": picture })]);
        }""",
        b64encode(photo((900, 600), "PNG")).decode(),
    )
    composer(visitor.page).press("Control+V")
