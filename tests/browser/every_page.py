"""Every page of a signed-in person, and how to get there."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.admin_pages import admin_pages
from tests.browser.device_pages import device_pages, go_to
from tests.browser.other_site import other_site
from tests.browser.seeding import Seeded
from tests.browser.stranger_pages import stranger_pages
from tests.browser.troubled_pages import troubled_pages
from tests.browser.unsent_pages import unsent_pages
from tests.browser.visitors import ARRIVAL, composer
from tests.services.installations import RunningInstallation

Open = Callable[[Page], None]


def pages_of(seeded: Seeded, installation: RunningInstallation) -> dict[str, Open]:
    """The pages by name, for alice after seeding."""

    def go(path: str) -> Open:
        return lambda page: go_to(page, path)

    return {
        "inbox": go("/"),
        "inbox-unread": go("/?filter=unread"),
        "inbox-archived": go("/?filter=archived"),
        "row-menu": _row_menu,
        "conversation-menu": lambda page: _conversation_menu(page, seeded.with_both),
        "conversation-menu-as-a-page": go(f"{seeded.with_both}menu/"),
        "people": go(f"{seeded.with_both}people/"),
        "people-faulty": lambda page: _people_faulty(page, seeded.with_both),
        "go-on": lambda page: _go_on(page, seeded.with_both),
        "search": _search,
        "search-narrowed": lambda page: _search_for(page, "bread from:bob has:link", "fewer words"),
        "search-nobody": lambda page: _search_for(page, "from:nobody", "Nobody found"),
        "search-no-day": lambda page: _search_for(page, "before:2026-13-99", "No such day"),
        "search-people": lambda page: _search_for(page, "carol", "Conversations"),
        "search-none": lambda page: _search_for(page, "heliotrope", "Nothing found"),
        "search-too-long": lambda page: _search_for(page, " ".join("abcdefghijklmnopqrstuv"), "too much"),
        "menu": _menu,
        "conversation": go(seeded.with_bob),
        "conversation-of-three": go(seeded.with_both),
        "composer-topics": lambda page: _composer_topics(page, seeded.with_both),
        "topics": go(f"{seeded.with_both}topics/"),
        "topics-none": go(f"{seeded.with_bob}topics/"),
        "topic": lambda page: _topic(page, seeded.with_both),
        "topic-reply": lambda page: _topic_reply(page, seeded.with_both),
        "message-menu": lambda page: _message_menu(page, seeded.with_both),
        "message-menu-as-a-page": lambda page: _message_menu_as_a_page(page, seeded.with_both),
        "message-reply": lambda page: _message_action(
            page, seeded.with_both, "Reply", "#composer-reply .quote"
        ),
        "message-edit": lambda page: _message_action(page, seeded.with_both, "Edit", ".edit"),
        "message-take-back": lambda page: _message_action(page, seeded.with_both, "Take back", ".ask"),
        "message-delete": lambda page: _message_action(page, seeded.with_both, "Delete for me", ".ask"),
        "message-discard": lambda page: _message_discard(page, seeded.with_carol),
        "mentioning": lambda page: _mentioning(page, seeded.with_both),
        "forward": lambda page: _message_action(page, seeded.with_both, "Forward", "main .results"),
        "forward-chosen": lambda page: _forward_chosen(page, seeded.with_both),
        "not-delivered": go(seeded.with_carol),
        "files": go(seeded.with_files),
        **unsent_pages(seeded),
        "file-gone": lambda page: go_to(page, f"/m/{'00' * 32}/files/0/"),
        "message": lambda page: _details(page, seeded.with_bob),
        "message-of-three": lambda page: _details(page, seeded.with_both),
        "preview": lambda page: _preview(page, seeded.with_files),
        "preview-none": lambda page: _preview_none(page, seeded.with_files),
        "new-conversation": go("/new/"),
        "new-conversation-found": _found,
        "new-conversation-by-name": _by_name,
        "new-conversation-chosen": _chosen,
        "new-conversation-nobody": _nobody,
        "compare": lambda page: _compare(page, seeded.with_carol),
        "compared": lambda page: _compare(page, seeded.with_carol, found="They match"),
        "keys-differed": lambda page: _differ(page, seeded.with_carol),
        "keys-used-anyway": lambda page: _use_anyway(page, seeded.with_carol),
        **device_pages(),
        "saved-none": go("/saved/"),
        "saved": lambda page: _saved(page, seeded.with_bob),
        "settings": go("/settings/"),
        "undo-send": go("/undo-send/"),
        "enter-key": go("/enter-key/"),
        "receipts": go("/receipts/"),
        "receipts-of-one": go(f"{seeded.with_bob}receipts/"),
        "kept-aside": go("/kept-aside/"),
        "kept-aside-remove": _kept_aside_remove,
        "browsers": go("/devices/browsers/"),
        "mails": go("/mail/"),
        "mails-spam-none": go("/mail/?show=spam"),
        "mail": go(seeded.mail),
        "mail-designed": go(f"{seeded.mail}?designed=1"),
        "mail-of-program": go(seeded.mail_of_program),
        **troubled_pages(seeded, installation),
        "mail-answer-faulty": lambda page: _mail_answer_faulty(page, seeded.mail),
        "notifications": go("/notifications/"),
        "keys": go("/keys/"),
        "languages": go("/language/"),
        "offline": go("/offline/"),
        "requests-none": go("/requests/"),
        "requests-declined-none": go("/requests/?show=declined"),
        "who-may-write": go("/who-may-write/"),
        "blocked-none": go("/blocked/"),
        **stranger_pages(seeded, installation),
        "person": lambda page: _person(page, seeded.with_bob),
        "report": lambda page: _report(page, seeded.with_bob),
        "report-faulty": lambda page: _report_faulty(page, seeded.with_bob),
        "report-preview": lambda page: _report_preview(page, seeded.with_bob),
        "report-made": lambda page: _report_made(page, seeded.with_bob),
        "not-found": go("/c/00/"),
        **admin_pages(installation),
    }


def _search_for(page: Page, words: str, answer: str) -> None:
    go_to(page, "/")
    page.get_by_label("Search messages").fill(words)
    expect(page.locator("#found")).to_contain_text(answer)


def _search(page: Page) -> None:
    """Typed, as far as the page searches by itself; the index is filled by the workers meanwhile."""
    go_to(page, "/")
    for _ in range(ARRIVAL // 500):
        page.get_by_label("Search messages").fill("")
        page.get_by_label("Search messages").press_sequentially("bread")
        page.locator("#found .found").wait_for()
        if page.locator("#found mark").count():
            break
        page.wait_for_timeout(500)
    expect(page.locator("#found mark").first).to_be_visible()


def _menu(page: Page) -> None:
    go_to(page, "/")
    page.get_by_label(re.compile("^Account menu")).click()
    expect(page.get_by_role("link", name="Devices and keys")).to_be_visible()


def _row_menu(page: Page) -> None:
    go_to(page, "/")
    page.locator("#convos > li").first.hover()
    page.locator("#convos .row-menu > summary").first.click()
    expect(page.locator("#convos .row-menu[open]").get_by_role("button", name="Archive")).to_be_visible()


def _conversation_menu(page: Page, conversation: str) -> None:
    go_to(page, conversation)
    page.get_by_label("Conversation menu").click()
    expect(page.get_by_label("Jump to a day")).to_be_visible()


def _composer_topics(page: Page, conversation: str) -> None:
    go_to(page, conversation)
    page.locator(".composer summary", has_text="Topics").click()
    expect(page.get_by_role("button", name="Send, and begin a topic with it")).to_be_visible()


def _message_discard(page: Page, conversation: str) -> None:
    """One that was delivered to nobody."""
    go_to(page, conversation)
    failed = page.locator(".msg--own:has(.msg__meta--fault)").last
    page.goto(f"/m/{(failed.get_attribute('id') or '').removeprefix('m')}/discard/")
    expect(page.locator(".ask")).to_be_visible()


def _mentioning(page: Page, conversation: str) -> None:
    go_to(page, conversation)
    composer(page).press_sequentially("@")
    expect(page.locator(".mentions button").first).to_be_visible()


def _topic(page: Page, conversation: str) -> None:
    go_to(page, conversation)
    page.locator(".msg__topic").last.click()
    expect(page.get_by_role("link", name="All topics")).to_be_visible()


def _topic_reply(page: Page, conversation: str) -> None:
    """In the whole conversation, to a message of a topic."""
    go_to(page, conversation)
    message = page.locator(".msg", has_text="A salad, then.").last
    message.locator(".menu > summary").click()
    message.get_by_role("link", name="Reply").last.click()
    expect(page.locator(".quote__topic")).to_be_visible()


def _mail_answer_faulty(page: Page, path: str) -> None:
    go_to(page, path)
    page.get_by_label("Your answer").fill("   ")
    page.get_by_label("Everybody").check()
    page.get_by_role("button", name="Send without encryption").click()
    expect(page.get_by_role("alert")).to_be_visible()


def _people_faulty(page: Page, conversation: str) -> None:
    go_to(page, f"{conversation}people/")
    note = {"name": "note.png", "mimeType": "image/png", "buffer": b"no picture"}
    page.get_by_label("Picture of this group").set_input_files(note)  # type: ignore[arg-type]
    page.get_by_role("button", name="Use it").click()
    expect(page.get_by_role("alert")).to_be_visible()


def _go_on(page: Page, conversation: str) -> None:
    go_to(page, f"{conversation}people/")
    page.get_by_role("link", name="Add people").click()
    expect(page.locator("#chips .chip")).to_have_count(2)


def _compare(page: Page, conversation: str, *, found: str = "") -> None:
    """From the conversation's head; what is found leads back there, and to the page again."""
    go_to(page, conversation)
    page.get_by_role("link", name="keys with").click()
    if found:
        page.get_by_role("button", name=found).click()
        expect(page.locator("#thread")).to_be_attached()
        page.get_by_role("link", name="keys with").click()
    expect(page.get_by_role("group", name="Number to compare")).to_be_visible()


def _differ(page: Page, conversation: str) -> None:
    _compare(page, conversation, found="They differ")
    go_to(page, conversation)
    expect(page.locator("#keys-to-look-at")).to_contain_text("they differed")


def _use_anyway(page: Page, conversation: str) -> None:
    go_to(page, conversation)
    page.locator("#keys-to-look-at").get_by_role("button", name="Send anyway").click()
    expect(page.locator("#keys-to-look-at")).to_be_empty()
    _compare(page, conversation)


def _details(page: Page, conversation: str) -> None:
    go_to(page, conversation)
    page.goto(page.locator(".msg--own .msg__meta a").last.get_attribute("href") or "")
    expect(page.get_by_role("heading", name="About this message")).to_be_visible()


def _person(page: Page, conversation: str) -> None:
    go_to(page, conversation)
    page.goto(page.locator("#thread-title a").get_attribute("href") or "")
    expect(page.get_by_role("heading", name="Where messages reach them")).to_be_visible()


def _report(page: Page, conversation: str) -> None:
    _person(page, conversation)
    page.get_by_role("link", name=re.compile("^Report")).click()
    expect(page.get_by_role("group", name="Messages to disclose")).to_be_visible()


def _report_faulty(page: Page, conversation: str) -> None:
    _report(page, conversation)
    page.get_by_role("button", name="See what is handed over").click()
    expect(page.get_by_role("alert")).to_be_visible()


def _kept_aside_remove(page: Page) -> None:
    go_to(page, "/kept-aside/")
    page.get_by_role("link", name="Remove for good", exact=True).first.click()
    expect(page.get_by_role("heading", name="Remove this message for good?")).to_be_visible()


def _report_preview(page: Page, conversation: str) -> None:
    _report(page, conversation)
    page.get_by_label("What it is about").select_option(index=1)
    page.get_by_role("checkbox").first.check()
    page.get_by_role("button", name="See what is handed over").click()
    expect(page.get_by_role("heading", name="What the operator gets")).to_be_visible()


def _report_made(page: Page, conversation: str) -> None:
    _report(page, conversation)
    page.get_by_role("checkbox").first.check()
    page.get_by_role("button", name="Only make the text").click()
    expect(page.get_by_role("heading", name="The report as text")).to_be_visible()


def _message_menu(page: Page, conversation: str) -> None:
    """One that has a reaction beside it."""
    go_to(page, conversation)
    own = page.locator(".msg--own").last
    if not own.locator(".react").count():
        own.locator(".menu > summary").click()
        own.get_by_role("button", name=re.compile("❤️")).click()
    expect(own.locator(".react")).to_be_visible()
    last = page.locator(".msg").last
    last.locator(".menu > summary").click()
    expect(last.get_by_role("link", name="About this message")).to_be_visible()


def _saved(page: Page, conversation: str) -> None:
    go_to(page, conversation)
    menu = page.locator(".msg .menu").last
    menu.locator("summary").click()
    save = menu.get_by_role("button", name=re.compile("^Save|^Take off"))
    if save.inner_text() == "Save":
        save.click()
        expect(page.locator(".msg .menu[open]")).to_have_count(0)
    go_to(page, "/saved/")
    expect(page.locator(".saved > li").first).to_be_visible()


def _message_menu_as_a_page(page: Page, conversation: str) -> None:
    """Where the menu leads without script."""
    go_to(page, conversation)
    key = page.locator(".msg--own").last.get_attribute("id") or ""
    go_to(page, f"/m/{key.removeprefix('m')}/menu/")


def _message_action(page: Page, conversation: str, name: str, shows: str) -> None:
    go_to(page, conversation)
    menu = page.locator(".msg--own .menu").last
    menu.locator("summary").click()
    menu.get_by_role("link", name=name).click()
    expect(page.locator(shows)).to_be_visible()


def _forward_chosen(page: Page, conversation: str) -> None:
    _message_action(page, conversation, "Forward", "main .results")
    page.locator("#targets input").first.check()
    page.locator("#q").fill("carol")
    # What is chosen, and what is found beside it.
    expect(page.locator("#targets .targets")).to_have_count(2)


def _type(page: Page, handle: str) -> None:
    page.get_by_label("To", exact=True).press_sequentially(handle)


def _preview(page: Page, conversation: str) -> None:
    """Sent once, so that the thread shows it too, and offered again."""
    go_to(page, conversation)
    field = page.get_by_role("textbox", name=re.compile("^Message to"))
    with other_site() as site:
        for words in ("This is the way I meant", "or do you know a better one?"):
            _emptied(page)
            field.press_sequentially(f"{site.url}/river-path {words}")
            expect(page.locator("#composer-preview canvas")).to_be_visible(timeout=ARRIVAL)
            if words.endswith("?"):
                break
            field.press("Control+Enter")
            expect(page.locator(".msg .preview img").last).to_be_visible(timeout=ARRIVAL)


def _emptied(page: Page) -> None:
    """The composer, of what was left in it the last time."""
    page.get_by_role("textbox", name=re.compile("^Message to")).fill("")
    expect(page.locator("#composer-preview .preview")).to_have_count(0)


def _preview_none(page: Page, conversation: str) -> None:
    go_to(page, conversation)
    with other_site() as site:
        field = page.get_by_role("textbox", name=re.compile("^Message to"))
        _emptied(page)
        field.press_sequentially(f"{site.url}/nothing to see")
        expect(page.locator("#composer-preview")).to_contain_text("gives no preview", timeout=ARRIVAL)


def _found(page: Page) -> None:
    go_to(page, "/new/")
    _type(page, "bob.test")
    expect(page.locator("#results .result")).to_be_visible()


def _by_name(page: Page) -> None:
    go_to(page, "/new/")
    _type(page, "bo")
    expect(page.get_by_role("option", name=re.compile("Bob"))).to_be_visible()
    page.keyboard.press("ArrowDown")


def _chosen(page: Page) -> None:
    _found(page)
    page.keyboard.press("Enter")
    expect(page.locator("#chips .chip")).to_have_count(1)
    _type(page, "carol.test")
    page.keyboard.press("Enter")
    expect(page.locator("#chips .chip")).to_have_count(2)
    page.get_by_label("Message", exact=True).fill("Supper on Friday?")


def _nobody(page: Page) -> None:
    go_to(page, "/new/")
    _type(page, "nobody.test")
    expect(page.locator("#results").get_by_role("alert")).to_be_visible()
