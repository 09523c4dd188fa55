"""A message that a mail server refuses, at once or by a report that comes back, and its sender's page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from demo.local_network import NetworkInfo
from tests.browser.conftest import Visit
from tests.browser.test_every_page import SCREENS, problems_of, problems_on_each_screen
from tests.browser.visitors import ARRIVAL, PHONE, WIDE, bubble, message
from tests.services.installations import RunningInstallation, wait_until
from tests.services.postfix import postfix_server
from tests.services.repository import Repository
from tests.services.smtp_sink import SmtpSink

#: Nobody has this mailbox.
MOVED_OUT = "mailto:moved-out@localhost"
REFUSED = "Message refused by local policy 1.17"
UNKNOWN = "their server does not know this person."
#: How high what is pressed has to be at least, in CSS pixels.
FINGER, POINTER = 44, 24


@pytest.fixture(scope="module")
def carried_by_postfix(installation: RunningInstallation) -> Iterator[None]:
    """A mail server takes what leaves, and brings what comes back, as in production."""
    port = installation.installation.ports.ingress
    with postfix_server(ingress_port=port, mail_domains=["localhost"]) as postfix:
        relay = {"WAXWING_SMTP_RELAY_URL": f"smtp://127.0.0.1:{postfix.relay_port}"}
        with (
            installation.set_otherwise("ingress", {"WAXWING_INGRESS_URL": f"lmtp://127.0.0.1:{port}"}),
            installation.set_otherwise("deliveries", relay),
        ):
            yield


def look_up_anew(page: Page, installation: RunningInstallation, did: str, address: str) -> None:
    """Has it known that somebody is reached at an address by now, even if a worker began to look them up
    before, as for a receipt: what that one knows may be stored after a day passed, but no later than this."""

    def is_known() -> bool:
        installation.a_day_passes()
        page.goto("/new/?to=bob.test")
        (row,) = installation.sql(
            "SELECT inbox_endpoints, smtp_endpoint FROM accounts_peer WHERE did = ?", did
        )
        return any(address in str(known) for known in row)

    wait_until(is_known, 60)


@contextmanager
def reached_only_at(
    page: Page, installation: RunningInstallation, network: NetworkInfo, *addresses: str
) -> Iterator[Repository]:
    """Where bob's own record says that he is, for a while. The page is for looking him up."""
    bobs = Repository(network.pds_url, network.accounts["bob"])
    before = bobs.inbox()
    bobs.put_inbox([*addresses])
    for address in addresses:
        look_up_anew(page, installation, bobs.did, address)
    try:
        yield bobs
    finally:
        bobs.put_inbox(before)
        look_up_anew(page, installation, bobs.did, before[0])


@pytest.mark.parametrize("screen", SCREENS)
def test_a_server_that_refuses_is_quoted_behind_the_details(
    screen: dict[str, int],
    visit: Visit,
    installation: RunningInstallation,
    local_network: NetworkInfo,
    smtp_sink: SmtpSink,
) -> None:
    text = f"Shall I bring the oars? {uuid4().hex[:8]}"
    on_phone = screen == PHONE
    bob, alice = visit("bob", viewport=screen), visit("alice", viewport=screen, touch=on_phone)
    page, about = alice.page, alice.page.locator("#side")
    with (
        SmtpSink(answer=f"554 5.7.0 {REFUSED}") as refusing,
        reached_only_at(bob.page, installation, local_network) as bobs,
    ):
        server = f"smtp://localhost:{refusing.port}"
        bobs.name_mail_server(server, smtp_sink)
        look_up_anew(bob.page, installation, bobs.did, server)
        try:
            alice.write_to("bob.test", text=text)
            sent = message(page, text)
            expect(sent.locator(".msg__meta")).to_contain_text(
                "Not delivered to Bob: their server refused the message.", timeout=ARRIVAL
            )
            expect(page.locator("#thread")).not_to_contain_text(REFUSED)
            for what in sent.locator(".msg__meta :is(a, button)").all():
                box = what.bounding_box()
                assert box
                assert box["height"] >= (FINGER if on_phone else POINTER)
            alice.write(f"Or rather not: {text}")
            _discard(page, f"Or rather not: {text}")
        finally:
            bobs.name_mail_server(None, smtp_sink)
    conversation = page.url
    sent.get_by_role("link", name="Details").click()
    expect(about).to_contain_text(
        "Not delivered: their server refused the message."
        " Its own words are under Raw details; its operator can say why."
    )
    expect(about.get_by_text(REFUSED)).to_be_hidden()
    about.get_by_text("Raw details").last.click()
    expect(about.get_by_text(f"554 5.7.0 {REFUSED}")).to_be_visible()
    assert problems_of(page, screen) == []

    about.get_by_role("button", name="Retry").click()
    expect(sent.locator(".msg__meta")).to_contain_text("Their server has it", timeout=ARRIVAL)
    bob.open_conversation(conversation)
    expect(bubble(bob.page, text)).to_have_count(1)


def _discard(page: Page, text: str) -> None:
    """A message that nobody got, in the page that lies open since it was written, once that was asked."""
    failed = message(page, text)
    expect(failed.locator(".msg__meta")).to_contain_text("Not delivered", timeout=ARRIVAL)
    failed.get_by_role("link", name="Discard").click()
    failed.get_by_role("link", name="Keep it").click()
    expect(failed.locator(".ask")).to_have_count(0)
    failed.get_by_role("link", name="Discard").click()
    expect(failed.locator(".ask")).to_contain_text("Nobody got it.")
    # The page hears of it as well once it is gone, which is no complaint.
    with page.expect_response(re.compile("/news/")):
        failed.get_by_role("button", name="Discard").click()
    expect(failed).to_have_count(0)
    page.reload()
    expect(page.locator("#thread .msg").last).to_be_visible()
    expect(failed).to_have_count(0)


@pytest.mark.usefixtures("carried_by_postfix")
def test_a_mail_that_came_back_says_why_and_is_sent_again(
    visit: Visit, installation: RunningInstallation, local_network: NetworkInfo
) -> None:
    """In a wide window; each page of it is looked at on a phone as well."""
    text = f"Is the boat still at the jetty? {uuid4().hex[:8]}"
    bob, alice = visit("bob", viewport=PHONE), visit("alice", viewport=WIDE)
    page = alice.page
    with reached_only_at(bob.page, installation, local_network, MOVED_OUT):
        alice.write_to("bob.test", text=text)
        sent = message(page, text)
        # Her mail server had taken it; the page that is open hears of the report by itself.
        expect(sent.locator(".msg__meta")).to_contain_text(
            f"Not delivered to Bob: {UNKNOWN}", timeout=ARRIVAL
        )
        assert problems_on_each_screen(page) == []
        conversation = page.url
        page.goto("/")
        expect(page.locator("#convos .row", has_text=text)).to_contain_text("Not delivered")
        page.goto(conversation)

        sent.get_by_role("link", name="Details").click()
        about = page.locator("#side")
        expect(about).to_contain_text(f"Not delivered: {UNKNOWN} Ask them whether they have moved.")
        expect(about).to_contain_text("By mail to localhost.")
        words = about.get_by_text("there is no such mailbox here")
        expect(words).to_be_hidden()
        about.get_by_text("Raw details").click()
        expect(words).to_be_visible()
        assert problems_on_each_screen(page) == []
    page.goto(conversation)
    sent.get_by_role("button", name="Retry").click()
    expect(sent.locator(".msg__meta")).to_contain_text("Their server has it", timeout=ARRIVAL)
    bob.open_conversation(conversation)
    expect(bubble(bob.page, text)).to_have_count(1)


@pytest.mark.usefixtures("carried_by_postfix")
def test_the_list_leads_to_what_one_of_a_group_did_not_get_and_it_is_sent_to_that_one_again(
    visit: Visit, installation: RunningInstallation, local_network: NetworkInfo
) -> None:
    """On a phone; each page of it is looked at in a wide window as well."""
    word = uuid4().hex[:8]
    text = f"Who brings the rope? {word}"
    bob, carol = (visit(name, viewport=WIDE) for name in ("bob", "carol"))
    alice = visit("alice", viewport=PHONE)
    page, about = alice.page, alice.page.locator("#side")
    alice.write_to("bob.test", "carol.test", text=f"Rowing at six {word}")
    conversation = page.url.partition("#")[0]
    expect(message(page, f"Rowing at six {word}").locator(".msg__meta")).to_contain_text(
        "Their servers have it", timeout=ARRIVAL
    )
    row = page.locator(f'#convos .row[href="{urlsplit(conversation).path}"]')
    line = page.locator(".aside-line", has_text=re.compile("messages? (was|were) not delivered"))
    sent = message(page, text)
    with reached_only_at(bob.page, installation, local_network, MOVED_OUT):
        page.goto("/")
        alice.write_elsewhere(conversation, text)
        # What came back is told where nobody looks at the conversation, and somebody has written there since.
        expect(line).to_be_visible(timeout=ARRIVAL)
        carol.page.goto(conversation)
        carol.write(f"I do {word}")
        expect(row).to_contain_text(f"I do {word}", timeout=ARRIVAL)
        expect(row.locator(".fault")).to_contain_text("Not delivered")
        assert problems_on_each_screen(page) == []
        line.click()
        expect(sent.locator(".msg__meta")).to_contain_text(f"Not delivered to Bob: {UNKNOWN}")
        sent.get_by_role("link", name="Details").click()
        expect(about.locator(".badge", has_text="Not delivered")).to_have_count(1)
        # Carol may have opened hers by now.
        arrived = re.compile("Their server has it|Opened on their device")
        expect(about.locator(".badge", has_text=arrived)).to_have_count(1)
        expect(about).to_contain_text(f"Not delivered: {UNKNOWN} Ask them whether they have moved.")
        assert problems_on_each_screen(page) == []
        page.goto("/")
        expect(row).to_be_visible()
        expect(row.locator(".fault")).to_have_count(0, timeout=ARRIVAL)
    page.goto(conversation)
    sent.get_by_role("button", name="Retry").click()
    # Carol has opened hers meanwhile.
    arrived = re.compile("Their servers have it|Opened on")
    expect(sent.locator(".msg__meta")).to_contain_text(arrived, timeout=ARRIVAL)
    for one in (bob, carol):
        one.page.goto(conversation)
        expect(bubble(one.page, text)).to_have_count(1, timeout=ARRIVAL)
