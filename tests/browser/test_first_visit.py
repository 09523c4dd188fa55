"""Signing in through one's own server's pages, and what is published then."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import expect

from demo.local_network import NetworkInfo
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.first_visit import ask_own_server, give_password
from tests.browser.visitors import PHONE, WIDE
from tests.services.installations import RunningInstallation

#: What stands behind "The exact terms": nobody needs it to decide.
TERMS = r"records?\b|repositor|\bDID\b|did:|certificate|prekey|fingerprint|at\.atsms|https?://"
COLLECTIONS = ("at.atsms.x509", "at.atsms.prekey", "at.atsms.inbox")


@pytest.mark.parametrize("name", ["alice", "bob"], ids=["alice, at a desktop", "bob, on a phone"])
def test_somebody_signs_in_at_their_own_server_and_publishes(
    name: str, first_visit_of: FirstVisitOf, installation: RunningInstallation, local_network: NetworkInfo
) -> None:
    visit = first_visit_of(name)
    here, there = urlsplit(installation.url).netloc, urlsplit(local_network.pds_url).netloc
    assert [(page.name, page.host) for page in visit.pages] == [
        ("sign-in", here),
        ("consent", there),
        ("welcome", here),
        ("welcome-terms", here),
        ("welcome-lock", here),
        ("done", here),
        ("done-terms", here),
        ("empty-inbox", here),
    ]
    for shown in ("welcome", "done"):
        assert re.findall(TERMS, visit.page(shown).words, re.IGNORECASE) == []
    for term in (*COLLECTIONS, "repository", "DID document", f"{installation.url}/inbox/"):
        assert term in visit.page("welcome-terms").words

    published = {
        collection: httpx.get(
            f"{local_network.pds_url}/xrpc/com.atproto.repo.listRecords",
            params={"repo": local_network.accounts[name].did, "collection": collection},
        ).json()["records"]
        for collection in COLLECTIONS
    }
    assert all(published.values())
    words = re.sub(r"\s", "", visit.page("done-terms").words)
    certificates = [record["uri"].rpartition("/")[2] for record in published["at.atsms.x509"]]
    assert any(fingerprint in words for fingerprint in certificates)


def test_the_browser_asks_nobody_but_the_installation_and_ones_own_server(
    first_visit_of: FirstVisitOf, installation: RunningInstallation, local_network: NetworkInfo
) -> None:
    visit = first_visit_of("alice")
    assert visit.hosts == {
        urlsplit(installation.url).netloc,
        urlsplit(installation.url_by_number).netloc,
        urlsplit(local_network.pds_url).netloc,
    }
    assert visit.complaints == []


def test_a_handle_that_nobody_has_is_said_at_the_field(visit: Visit) -> None:
    stranger = visit("alice", signed_in=False, viewport=PHONE)
    page = stranger.page
    page.get_by_label("Your handle").fill("nobody.test")
    page.get_by_label("Your handle").press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("Your handle")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Your handle")).to_have_value("nobody.test")
    stranger.excuse(r"status of 4\d\d")


def test_who_denies_access_is_not_signed_in_and_reads_why(visit: Visit) -> None:
    alice = visit("alice", signed_in=False, viewport=PHONE)
    ask_own_server(alice)
    give_password(alice)
    alice.page.get_by_role("button", name="Deny access").click()
    expect(alice.page.get_by_role("alert")).to_be_visible()
    assert alice.page.url.startswith(alice.installation_url)
    alice.page.goto("/")
    expect(alice.page.get_by_role("heading", name="Sign in with your handle")).to_be_visible()
    alice.excuse(r"status of 4\d\d")


def test_signing_out_ends_it_and_signing_in_again_leads_straight_to_the_inbox(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    first_visit_of("alice")
    alice = visit("alice", signed_in=False, viewport=WIDE)
    ask_own_server(alice)
    give_password(alice)
    alice.page.get_by_role("button", name="Authorize").click()
    expect(alice.page.get_by_role("heading", name="Inbox")).to_be_visible()
    alice.page.get_by_label("Account menu, alice.test").click()
    alice.page.get_by_role("button", name="Sign out").click()
    expect(alice.page.get_by_role("heading", name="Sign in with your handle")).to_be_visible()
    alice.page.goto("/devices/")
    expect(alice.page.get_by_role("heading", name="Sign in with your handle")).to_be_visible()
