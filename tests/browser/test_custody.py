"""Locking one's keys, passkeys and recovery, in a browser with an authenticator, and mail that waits."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, StorageState, expect

from demo.local_network import LocalNetwork, NetworkInfo
from tests.browser.custody_walk import WORDS, walk_through_custody
from tests.browser.device_pages import export
from tests.browser.first_visit import ask_own_server, give_password, visited_without_browser
from tests.browser.test_every_page import FORMS, problems_of
from tests.browser.virtual_authenticator import authenticator_of
from tests.browser.visitors import ARRIVAL, PHONE, WIDE, Visitor, bubble, composer, visitor_at
from tests.environment import RUN
from tests.services.chromium import need_chromium
from tests.services.installations import RunningInstallation, query, running_installation
from tests.services.windows import Window

KEPT_AT = "**/draft/keep/"
REFUSED = r"status of 4\d\d|Response Status Error Code 4\d\d"


@pytest.fixture(scope="module")
def own_network() -> Iterator[NetworkInfo]:
    """One whose people are reached at no other installation: each has one address for all that it is sent."""
    with LocalNetwork(RUN.directory / "custody-network") as network:
        yield network.info


@pytest.fixture(scope="module")
def own_installation(own_network: NetworkInfo) -> Iterator[RunningInstallation]:
    """One in which people may lock themselves out."""
    with running_installation(RUN.directory / "custody", own_network) as running:
        yield running


@pytest.fixture(autouse=True)
def as_before(own_installation: RunningInstallation, tmp_path: Path) -> Iterator[None]:
    """What a test that fails leaves locked would fail all that come after it."""
    database = own_installation.installation.directory / "agent" / "agent.sqlite3"
    with closing(sqlite3.connect(database)) as now, closing(sqlite3.connect(tmp_path / "agent")) as before:
        now.backup(before)
    yield
    if not query(
        f"sqlite:///{database}",
        "SELECT id FROM crypto_agent_accountcustody WHERE lock_id <> '' OR passkey_required",
    ):
        return
    own_installation.stop("agent")
    for name in (database.name, f"{database.name}-wal", f"{database.name}-shm"):
        database.with_name(name).unlink(missing_ok=True)
    shutil.copyfile(tmp_path / "agent", database)
    own_installation.start("agent")
    own_installation.sql(
        "UPDATE accounts_account SET custody = 'managed', passkey_required = FALSE, waits_since = NULL"
    )
    if "worker" not in own_installation.processes:
        own_installation.start("worker")


At = Callable[..., Visitor]


@pytest.fixture(scope="module")
def states(own_installation: RunningInstallation, own_network: NetworkInfo) -> dict[str, StorageState]:
    """What keeps each of them signed in."""
    return {
        name: visited_without_browser(Window(own_installation.url, account))
        for name, account in own_network.accounts.items()
    }


@pytest.fixture
def at(
    browser: Browser,
    own_installation: RunningInstallation,
    own_network: NetworkInfo,
    states: dict[str, StorageState],
) -> Iterator[At]:
    """`at("alice")` is a window of hers, signed in unless told otherwise."""
    with ExitStack() as stack:
        visitors: list[Visitor] = []

        def at(name: str, *, signed_in: bool = True, **form: object) -> Visitor:
            person = own_network.accounts[name].person
            state = states[name] if signed_in else None
            visitor = stack.enter_context(
                visitor_at(browser, own_installation.url, person, storage_state=state, **form)  # type: ignore[arg-type]
            )
            visitors.append(visitor)
            visitor.page.goto("/")
            return visitor

        yield at
        for visitor in visitors:
            visitor.excuse(REFUSED)
        assert [complaint for visitor in visitors for complaint in visitor.complaints] == []


# ---- What people do


def lock_with_passphrase(page: Page) -> str:
    """The recovery code."""
    page.goto("/devices/keys/lock/")
    page.get_by_label("New passphrase").fill(WORDS)
    page.get_by_label("Once more").fill(WORDS)
    page.get_by_role("button", name="Lock my keys").click()
    return write_down_the_code(page)


def write_down_the_code(page: Page) -> str:
    code = page.locator("#recovery-code").inner_text()
    page.get_by_label("I have written it down").check()
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_role("heading", name="Who can open your keys")).to_be_visible()
    assert code not in page.content()
    return code


def lock_now(page: Page) -> None:
    page.get_by_label("Account menu").click()
    page.get_by_role("button", name="Lock now").first.click()
    expect(page.locator("#lock-state")).to_contain_text("Your keys are locked")


def unlock(page: Page, words: str = WORDS) -> None:
    if "/unlock/" not in page.url:
        page.locator("#lock-state").get_by_role("link", name="Unlock").click()
    if page.get_by_label("Passphrase", exact=True).count():
        page.get_by_label("Passphrase", exact=True).check()
    page.get_by_label("Your passphrase").fill(words)
    page.get_by_role("button", name="Unlock").click()


def take_the_lock_away(page: Page) -> None:
    page.goto("/devices/keys/managed/")
    page.get_by_label("Your passphrase").fill(WORDS)
    page.get_by_role("button", name="Take the lock away").click()
    expect(page.get_by_role("status")).to_contain_text("Your keys are managed")


def add_passkey(page: Page, name: str) -> None:
    page.goto("/devices/keys/passkeys/new/")
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Make the passkey").click()


def sign_in_as_far_as_the_server_goes(visitor: Visitor) -> None:
    visitor.page.goto("/sign-in/")
    ask_own_server(visitor)
    if not visitor.page.get_by_role("button", name="Authorize").is_visible():
        give_password(visitor)
    visitor.page.get_by_role("button", name="Authorize").click()


# ---- What has to come of it


def test_mail_waits_while_locked_and_opens_at_unlock(at: At, own_installation: RunningInstallation) -> None:
    """Locked and unlocked in a window as small as a phone's, while another one has a conversation open."""
    alice, bob = at("alice"), at("bob")
    bob.start_conversation("alice.test", text="before it is locked")
    alice.open_conversation(bob.page.url)
    conversation = alice.page.url
    expect(bubble(alice.page, "before it is locked")).to_be_visible(timeout=ARRIVAL)

    own_installation.stop("worker")
    alice.write("written before locking")
    expect(bubble(alice.page, "written before locking")).to_be_visible(timeout=ARRIVAL)
    code = lock_with_passphrase(alice.page)
    assert len(code.replace("-", "")) == 36
    alice.page.goto(conversation)
    other_tab = alice.another_tab()
    other_tab.set_viewport_size(PHONE)  # type: ignore[arg-type]
    other_tab.goto("/")
    composer(alice.page).fill("typed before it was locked")
    lock_now(other_tab)
    # The page that is open notices, and what it showed is gone from it.
    expect(alice.page.get_by_role("heading", name="This conversation is locked")).to_be_visible(
        timeout=ARRIVAL
    )
    assert "before it is locked" not in alice.page.content()
    expect(other_tab.locator("#convos .row").first).to_contain_text("Sealed until you unlock")
    # What was typed stays to be read. Nothing offers to send it, and the keys for that say why they do not.
    send = alice.page.get_by_role("button", name="Send")
    expect(alice.page.locator("#composer-lock")).to_contain_text("Unlock to write")
    expect(send).to_have_count(0)
    composer(alice.page).press("Control+Enter")
    expect(alice.page.get_by_role("alert")).to_contain_text("Your keys are locked, so nothing was sent")
    expect(composer(alice.page)).to_have_value("typed before it was locked")
    locked_tab = alice.another_tab()
    locked_tab.goto(conversation)
    expect(locked_tab.get_by_role("link", name="Unlock to write")).to_be_visible()
    expect(composer(locked_tab)).to_have_count(0)
    expect(locked_tab.get_by_role("button", name="Send")).to_have_count(0)
    locked_tab.close()

    own_installation.start("worker")
    bob.write("while you were away")
    expect(bob.page.locator("#thread .msg--own").last).to_contain_text("Their server has it", timeout=ARRIVAL)
    expect(other_tab.locator("#convos .row").first).to_contain_text("Sealed until you unlock")
    assert own_installation.sql("SELECT state FROM webmail_message WHERE state = 'composed'")
    expect(bubble(bob.page, "written before locking")).to_have_count(0)

    # Just then nothing can be kept. The page stays until it can: it would come anew without what was typed.
    tries: list[str] = []

    def in_vain(route: Route) -> None:
        tries.append(route.request.url)
        route.abort()

    alice.page.route(KEPT_AT, in_vain)
    unlock(other_tab)
    expect(other_tab.get_by_role("heading", name="Inbox")).to_be_visible()
    before = len(tries)
    for _ in range(300):
        if len(tries) > before + 1:
            break
        alice.page.wait_for_timeout(100)
    assert len(tries) > before + 1
    expect(composer(alice.page)).to_have_value("typed before it was locked")
    alice.page.unroute(KEPT_AT)
    expect(bubble(alice.page, "while you were away")).to_have_count(1, timeout=ARRIVAL)
    expect(bubble(alice.page, "before it is locked")).to_have_count(1)
    expect(composer(alice.page)).to_have_value("typed before it was locked")
    expect(send).to_have_count(1)
    expect(bubble(bob.page, "written before locking")).to_have_count(1, timeout=ARRIVAL)
    assert own_installation.sql("SELECT state FROM webmail_arrival WHERE state = 'kept-aside'") == []
    log = own_installation.log_of("worker").read_text()
    assert "stopped" not in log
    assert "waits" not in log
    take_the_lock_away(alice.page)
    # Of what failed before, the browser may have told later.
    alice.excuse("ERR_FAILED")


def test_with_the_keyboard_alone_keys_are_locked_and_unlocked(at: At) -> None:
    page = at("alice").page
    page.goto("/devices/keys/")
    page.get_by_role("link", name="Lock my keys").focus()
    page.keyboard.press("Enter")
    page.get_by_label("New passphrase").focus()
    # Where there is something to mend, the keyboard is at it.
    page.keyboard.type("short")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").first).to_be_visible()
    expect(page.get_by_label("New passphrase")).to_be_focused()
    page.keyboard.type(WORDS)
    page.keyboard.press("Tab")
    page.keyboard.type(WORDS)
    page.keyboard.press("Enter")
    expect(page.locator("#recovery-code")).to_be_visible()
    page.get_by_label("I have written it down").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Locked")).to_be_visible()
    page.get_by_role("button", name="Lock now").last.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Inbox")).to_be_visible()
    page.locator("#lock-state").get_by_role("link").focus()
    page.keyboard.press("Enter")
    page.get_by_label("Your passphrase").focus()
    page.keyboard.type("not these words at all")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("does not open your keys")
    expect(page.get_by_label("Your passphrase")).to_be_focused()
    page.keyboard.type(WORDS)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Inbox")).to_be_visible()
    take_the_lock_away(page)


def test_a_second_press_loses_no_recovery_code(at: At) -> None:
    page = at("alice").page
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.goto("/devices/keys/lock/")
    # What is refused can be sent again.
    page.get_by_role("button", name="Lock my keys").click()
    expect(page.get_by_role("alert").first).to_be_visible()
    page.get_by_label("New passphrase").fill(WORDS)
    page.get_by_label("Once more").fill(WORDS)
    page.get_by_role("button", name="Lock my keys").dblclick()
    write_down_the_code(page)
    assert len([url for url in sent if url.endswith("/devices/keys/lock/")]) == 2
    expect(page.get_by_text("A recovery code was made")).to_have_count(0)

    # Whoever goes away from the code without a word is offered another one.
    page.goto("/devices/keys/recovery-code/")
    page.get_by_label("Your passphrase").fill(WORDS)
    page.get_by_role("button", name="Make a new one").dblclick()
    expect(page.locator("#recovery-code")).to_be_visible()
    page.goto("/devices/keys/")
    unseen = page.get_by_role("status").filter(has_text="A recovery code was made")
    expect(unseen).to_be_visible()
    for screen in FORMS.values():
        page.set_viewport_size(screen)  # type: ignore[arg-type]
        assert problems_of(page, screen) == []
    unseen.get_by_role("link", name="Make a new one").click()
    page.get_by_label("Your passphrase").fill(WORDS)
    page.get_by_role("button", name="Make a new one").click()
    write_down_the_code(page)
    expect(unseen).to_have_count(0)
    take_the_lock_away(page)


def test_wrong_passphrases_wait_and_the_recovery_code_helps_at_once(at: At) -> None:
    page = at("alice", viewport=PHONE, touch=True).page
    code = lock_with_passphrase(page)
    lock_now(page)
    for _ in range(6):
        unlock(page, "not these words at all")
        expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("too many wrong passphrases")
    unlock(page)
    expect(page.get_by_role("alert")).to_contain_text("looked at in")
    page.get_by_label("Recovery code", exact=True).check()
    page.get_by_label("Your recovery code").fill(f"{code[:-1]}{'0' if code[-1] != '0' else '1'}")
    page.get_by_role("button", name="Unlock").click()
    expect(page.get_by_role("alert")).to_contain_text("A character of the recovery code is wrong")
    page.get_by_label("Recovery code", exact=True).check()
    page.get_by_label("Your recovery code").fill(code.lower().replace("-", " "))
    page.get_by_role("button", name="Unlock").click()
    expect(page.get_by_role("heading", name="Inbox")).to_be_visible()

    # Forgotten: the code sets another one, and its successor takes its place.
    page.goto("/devices/keys/passphrase/")
    page.get_by_label("Recovery code", exact=True).check()
    page.get_by_label("Your recovery code").fill(code)
    page.get_by_label("New passphrase").fill("another set of words")
    page.get_by_label("Once more").fill("another set of words")
    page.get_by_role("button", name="Change it").click()
    expect(page.get_by_role("status").last).to_contain_text("The passphrase is changed")
    page.goto("/devices/keys/recovery-code/")
    page.get_by_label("Recovery code", exact=True).check()
    page.get_by_label("Your recovery code").fill(code)
    page.get_by_role("button", name="Make a new one").click()
    new_code = write_down_the_code(page)
    page.goto("/devices/keys/managed/")
    page.get_by_label("Recovery code", exact=True).check()
    page.get_by_label("Your recovery code").fill(code)
    page.get_by_role("button", name="Take the lock away").click()
    expect(page.get_by_role("alert")).to_contain_text("That does not open your keys")
    page.get_by_label("Recovery code", exact=True).check()
    page.get_by_label("Your recovery code").fill(new_code)
    page.get_by_role("button", name="Take the lock away").click()
    expect(page.get_by_role("status")).to_contain_text("Your keys are managed")


def test_a_passkey_locks_and_unlocks_by_its_prf(at: At) -> None:
    page = at("bob", viewport=PHONE).page
    with authenticator_of(page):
        add_passkey(page, "Bob's laptop")
        expect(page.get_by_role("status")).to_contain_text("The passkey is kept.")
        page.goto("/devices/keys/lock/")
        page.get_by_label("A passkey").check()
        page.get_by_role("button", name="Lock my keys").click()
        code = write_down_the_code(page)
        lock_now(page)
        page.locator("#lock-state").get_by_role("link", name="Unlock").click()
        page.get_by_role("button", name="Unlock").click()
        expect(page.get_by_role("heading", name="Inbox")).to_be_visible()

        # A passphrase beside it, then the passkey out of the lock, and away.
        page.goto("/devices/keys/passphrase/")
        page.get_by_label("New passphrase").fill(WORDS)
        page.get_by_label("Once more").fill(WORDS)
        page.get_by_role("button", name="Change it").click()
        expect(page.get_by_role("status").last).to_contain_text("The passphrase is changed")
        page.get_by_role("link", name="Remove").click()
        expect(page.get_by_role("main")).to_contain_text("It opens your lock")
        page.get_by_role("link", name="Take it out").click()
        page.get_by_label("Your passphrase").fill(WORDS)
        page.get_by_role("button", name="Take it out").click()
        expect(page.get_by_role("status").last).to_contain_text("no longer")
        page.get_by_role("link", name="Let it open").click()
        page.get_by_label("Your passphrase").fill(WORDS)
        page.get_by_role("button", name="Let it open them").click()
        expect(page.get_by_role("status").last).to_contain_text("opens your keys now")
        assert code not in page.content()
        page.goto("/devices/keys/managed/")
        page.get_by_label("Passkey", exact=True).check()
        page.get_by_role("button", name="Take the lock away").click()
        expect(page.get_by_role("status")).to_contain_text("Your keys are managed")
        page.get_by_role("link", name="Remove").click()
        page.get_by_role("button", name="Remove").click()
        expect(page.get_by_role("status")).to_contain_text("The passkey is removed here")


def test_a_passkey_without_prf_is_kept_but_cannot_lock(at: At) -> None:
    page = at("bob").page
    with authenticator_of(page, has_prf=False):
        add_passkey(page, "Old key")
        expect(page.get_by_role("status")).to_contain_text("cannot lock your keys")
        page.goto("/devices/keys/lock/")
        expect(page.get_by_label("A passkey")).to_have_count(0)
        page.goto("/devices/keys/")
        page.get_by_role("link", name="Remove").click()
        page.get_by_role("button", name="Remove").click()
        expect(page.get_by_role("status")).to_contain_text("The passkey is removed here")


def test_managed_keys_whose_passkey_is_required_get_a_new_recovery_code(at: At) -> None:
    page = at("carol").page
    with authenticator_of(page):
        add_passkey(page, "Key to the code")
        expect(page.get_by_role("status")).to_contain_text("The passkey is kept.")
        again = page.get_by_role("link", name="Make a new one")
        page.goto("/devices/keys/recovery-code/")
        expect(page.get_by_role("heading", name="Who can open your keys")).to_be_visible()
        expect(again).to_have_count(0)
        page.get_by_role("link", name="Require it").click()
        page.get_by_role("button", name="Require my passkey").click()
        lost = page.locator("#recovery-code").inner_text()

        # She left the code without a word.
        page.goto("/devices/keys/")
        unseen = page.get_by_role("status").filter(has_text="A recovery code was made")
        unseen.get_by_role("link", name="Make a new one").click()
        expect(page.get_by_role("main")).to_contain_text("Your passkey is asked for once more")
        # In one place alone.
        expect(page.locator("input[data-passkey]")).to_have_count(1)
        for screen in FORMS.values():
            page.set_viewport_size(screen)  # type: ignore[arg-type]
            assert problems_of(page, screen) == []
        page.get_by_role("button", name="Make a new one").click()
        code = write_down_the_code(page)
        expect(unseen).to_have_count(0)
        expect(again).to_have_count(1)
        expect(page.get_by_role("listitem").filter(has=again)).to_contain_text("if you lose your passkey")
        for screen in FORMS.values():
            page.set_viewport_size(screen)  # type: ignore[arg-type]
            assert problems_of(page, screen) == []

        page.goto("/devices/keys/sign-in/")
        for typed, said in ((lost, "does not open your keys"), (code, "Signing in needs no passkey now")):
            page.get_by_label("Recovery code", exact=True).check()
            page.get_by_label("Your recovery code").fill(typed)
            page.get_by_role("button", name="Ask no more").click()
            expect(page.get_by_role("main")).to_contain_text(said)
        expect(again).to_have_count(0)


def test_each_press_is_confirmed_by_an_answer_of_its_own(at: At) -> None:
    page = at("carol").page
    with authenticator_of(page):
        add_passkey(page, "Key of many presses")
        page.get_by_role("link", name="Require it").click()
        page.get_by_role("button", name="Require my passkey").click()
        write_down_the_code(page)

        # A download leaves the page as it is, with what was typed.
        export(page)
        with page.expect_download(timeout=ARRIVAL):
            page.get_by_role("button", name="Download the file").click()
        assert page.url.endswith("/devices/export/")

        # A press that is held back asks for nothing.
        page.goto("/devices/keys/sign-in/")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        first: list[Route] = []
        page.route("**/devices/keys/sign-in/", lambda route: first.append(route), times=1)
        with page.expect_request("**/devices/keys/sign-in/"):
            page.get_by_role("button", name="Ask no more").evaluate(
                "button => { button.click(); setInterval(() => button.click(), 300); }"
            )
        # Nothing can be asked of a page that is about to go.
        page.wait_for_timeout(1000)
        first[0].continue_()
        expect(page.get_by_role("status").last).to_contain_text("Signing in needs no passkey now")
        assert len([url for url in asked if url.endswith("/challenge/")]) == 1, asked


def test_signing_in_and_dangerous_steps_ask_for_the_passkey(at: At) -> None:
    """Set up and used at a desktop, and lost on a phone."""
    carol = at("carol")
    page = carol.page
    with authenticator_of(page) as authenticator:
        add_passkey(page, "Carol's key")
        page.get_by_role("link", name="Require it").click()
        page.get_by_role("button", name="Require my passkey").click()
        code = write_down_the_code(page)
        expect(page.get_by_role("main")).to_contain_text("Signing in needs your passkey")

        # A dangerous step: refused without, done with the passkey.
        authenticator.put_away()
        page.goto("/devices/apps/new/")
        page.get_by_label("Name of the app").fill("Diary")
        page.get_by_label("See your devices").check()
        page.get_by_role("button", name="Allow it").click()
        expect(page.get_by_role("alert")).to_contain_text("No passkey was used")
        authenticator.bring_back()
        page.get_by_role("button", name="Allow it").click()
        expect(page.get_by_role("heading", name="is allowed")).to_be_visible()

        page.get_by_label("Account menu").click()
        page.get_by_role("button", name="Sign out").click()
        sign_in_as_far_as_the_server_goes(carol)
        expect(page.get_by_role("heading", name="Now your passkey")).to_be_visible(timeout=ARRIVAL)
        page.goto("/")
        expect(page.get_by_role("heading", name="Sign in with your handle")).to_be_visible()
        page.goto("/sign-in/passkey/")
        authenticator.put_away()
        page.get_by_role("button", name="Use my passkey").click()
        expect(page.get_by_role("alert")).to_contain_text("No passkey was used")
        authenticator.bring_back()
        page.get_by_role("button", name="Use my passkey").press("Enter")
        expect(page.get_by_role("heading", name="Inbox")).to_be_visible()

        # Lost: the recovery code lets her in, and ends the requirement.
        page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        authenticator.forget_all()
        page.get_by_label("Account menu").click()
        page.get_by_role("button", name="Sign out").click()
        sign_in_as_far_as_the_server_goes(carol)
        page.get_by_role("button", name="Use my passkey").click()
        expect(page.get_by_role("alert")).to_contain_text("No passkey was used")
        page.get_by_text("I do not have my passkey").click()
        page.get_by_label("Your recovery code").fill(code)
        page.get_by_role("button", name="Sign in with the code").click()
        expect(page.get_by_role("heading", name="Who can open your keys")).to_be_visible()
        expect(page.get_by_role("main")).to_contain_text("Signing in needs only your own server's word")


def test_without_script_a_passphrase_locks_and_passkeys_say_why_not(at: At) -> None:
    page = at("alice", script=False, viewport=PHONE).page
    lock_with_passphrase(page)
    page.goto("/devices/keys/passkeys/new/")
    expect(page.get_by_role("main")).to_contain_text("Passkeys need JavaScript")
    page.get_by_label("Name").fill("None")
    page.get_by_role("button", name="Make the passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("No passkey was made")
    page.goto("/")
    lock_now(page)
    unlock(page)
    expect(page.get_by_role("heading", name="Inbox")).to_be_visible()
    take_the_lock_away(page)


def test_every_page_of_it_fits_and_breaks_no_rule_of_accessibility(at: At) -> None:
    alice, bob = at("alice"), at("bob")
    bob.start_conversation("alice.test", text="to be looked at")
    alice.open_conversation(bob.page.url)
    found: dict[str, list[str]] = {}

    def look(name: str, page: Page) -> None:
        for form, screen in FORMS.items():
            page.set_viewport_size(screen)  # type: ignore[arg-type]
            if problems := problems_of(page, screen):
                found[f"{name}, {form}"] = problems
        page.set_viewport_size(WIDE)  # type: ignore[arg-type]

    # Colours that fade into each other would be looked at half way.
    need_chromium(alice.context.browser, "a wish for less motion")
    alice.page.emulate_media(reduced_motion="reduce")
    walk_through_custody(alice, alice.page.url, look)
    assert found == {}
