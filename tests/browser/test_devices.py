"""A device that its owner revokes, and a new one."""

from __future__ import annotations

import re

import httpx
from playwright.sync_api import expect

from demo.local_network import NetworkInfo
from tests.browser.conftest import Visit
from tests.browser.visitors import ARRIVAL, PHONE, message
from tests.services.installations import RunningInstallation


def test_a_revoked_device_receives_nothing_more_and_a_new_one_does(
    visit: Visit, installation: RunningInstallation, local_network: NetworkInfo
) -> None:
    """He looks at it at his desk, revokes it on his phone, and makes the new one at his desk."""
    alice, bob, phone = visit("alice"), visit("bob"), visit("bob", viewport=PHONE, touch=True)
    alice.write_to("bob.test", text="Before you revoke")
    bob.open_conversation(alice.page.url)
    expect(message(bob.page, "Before you revoke")).to_be_visible(timeout=ARRIVAL)

    bob.page.goto("/devices/")
    active = bob.page.locator("article", has_text=re.compile("Published")).filter(has_text="Revoke…")
    old = re.sub(r"\s", "", active.locator(".print").inner_text())
    active.get_by_role("link", name="Revoke").click()
    expect(bob.page.get_by_role("heading", name="Revoke Waxwing at")).to_be_visible()
    expect(bob.page.get_by_role("main")).to_contain_text("This cannot be undone")
    bob.page.get_by_role("link", name="Keep it").click()
    expect(active).to_have_count(1)
    phone.page.goto("/devices/")
    in_hand = phone.page.locator("article", has_text=re.compile("Published")).filter(has_text="Revoke…")
    in_hand.get_by_role("link", name="Revoke").tap()
    phone.page.get_by_role("button", name="Revoke").tap()
    expect(phone.page.get_by_role("status").first).to_contain_text("your server says so")
    expect(in_hand).to_have_count(0)
    bob.page.reload()
    expect(active).to_have_count(0)
    assert "revokedAt" in record_of(local_network, "bob", old)

    # Alice's server looks again within a day; then it knows.
    installation.a_day_passes()
    alice.write("After you revoked")
    meta = message(alice.page, "After you revoked").locator(".msg__meta")
    expect(meta).to_contain_text(
        "Not delivered to Bob: they have no device yet that can receive sealed messages.", timeout=ARRIVAL
    )
    expect(alice.page.locator("#convos .row").first).to_contain_text("Not delivered:")
    alice.page.reload()
    expect(meta.get_by_role("button", name="Retry")).to_be_visible()

    bob.page.get_by_role("link", name="Publish a device").click()
    bob.page.get_by_role("button", name="Create keys and publish").click()
    expect(bob.page.get_by_role("heading", name="You can receive sealed messages")).to_be_visible(
        timeout=ARRIVAL
    )
    new = re.sub(r"\s", "", bob.page.locator(".print").inner_text())
    assert new != old

    meta.get_by_role("button", name="Retry").click()
    expect(meta).to_contain_text("Their server has it", timeout=ARRIVAL)
    bob.open_conversation(alice.page.url)
    expect(message(bob.page, "After you revoked")).to_be_visible(timeout=ARRIVAL)
    # What came before stays readable.
    expect(message(bob.page, "Before you revoke").locator(".msg__meta")).to_contain_text(
        "Signed by alice.test"
    )


def record_of(network: NetworkInfo, name: str, fingerprint: str) -> dict[str, object]:
    answer = httpx.get(
        f"{network.pds_url}/xrpc/com.atproto.repo.getRecord",
        params={"repo": network.accounts[name].did, "collection": "at.atsms.x509", "rkey": fingerprint},
    )
    value: dict[str, object] = answer.raise_for_status().json()["value"]
    return value
