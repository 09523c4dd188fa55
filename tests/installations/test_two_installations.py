"""Two installations that share nothing but the network exchange messages."""

from __future__ import annotations

import base64
import hashlib
import os
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import yaml

from crypto_agent.atsms.certificates import mailbox_local_part
from tests.installations.conftest import World
from tests.services.installations import RunningInstallation, wait_until
from tests.services.repository import Repository
from tests.services.windows import Window, words
from webmail.mailbox.envelope_mail import mail_with_envelope

ROOT = Path(__file__).resolve().parents[2]


def shows(window: Window, conversation: str, text: str) -> bool:
    """Whether the conversation is there and holds the text, once."""
    texts = window.texts(conversation) if conversation in window.rows() else []
    assert texts.count(text) <= 1
    return text in texts


def repository(world: World, window: Window) -> Repository:
    return Repository(world.network.info.pds_url, window.account)


def delivery(
    installation: RunningInstallation, message_id: str, recipient: Window
) -> tuple[str, str, str, str]:
    """State, carrier, where the route was found, and the code of a failure."""
    ((state, kind, source, code),) = installation.sql(
        "SELECT d.state, d.route_kind, d.route_source, d.failure_code FROM webmail_delivery d"
        " JOIN webmail_message m ON m.id = d.message_id"
        " WHERE m.message_id = ? AND d.recipient_did = ?",
        message_id,
        recipient.did,
    )
    return state, kind, source, code


def envelopes(installation: RunningInstallation, message_id: str) -> list[bytes]:
    """What was sealed of a message, for all its recipients; empty once a server has it."""
    rows = installation.sql(
        "SELECT c.envelope FROM webmail_deliverycopy c JOIN webmail_delivery d ON d.id = c.delivery_id"
        " JOIN webmail_message m ON m.id = d.message_id WHERE m.message_id = ?",
        message_id,
    )
    return [bytes(envelope or b"") for (envelope,) in rows]


@contextmanager
def down(installation: RunningInstallation) -> Iterator[None]:
    """Nothing of the installation takes anything in for a while."""
    installation.stop("web", "ingress")
    try:
        yield
    finally:
        # In this order: a try that finds only the ingress goes by mail, and only HTTPS says who has it.
        installation.start("web")
        installation.start("ingress")


def sent_to(window: Window, recipients: list[Window], text: str) -> tuple[str, str]:
    """Writes; the conversation's path, and the id of the message."""
    conversation = window.write([recipient.did for recipient in recipients], text)
    return conversation, window.thread(conversation)[-1].id


def test_by_https_both_ways(world: World) -> None:
    text = "hello Bob\nhttps://example.com \U0001f98a"
    conversation, message = sent_to(world.alice, [world.bob], text)
    wait_until(lambda: conversation in world.bob.rows())
    assert world.bob.rows()[conversation].endswith("unread: 1")

    (received,) = world.bob.thread(conversation)
    assert (received.id, received.text, received.author, received.own) == (message, text, "Alice", False)
    assert "Signed by alice.test" in received.state
    assert "unread" not in world.bob.rows()[conversation]
    wait_until(lambda: "Their server has it" in world.alice.thread(conversation)[0].state)
    assert delivery(world.alices, message, world.bob) == ("accepted", "https", "inbox-record", "")
    about = world.alice.words(f"/m/{message}/")
    assert "By HTTPS to localhost" in about
    assert "The inbox record of bob.test lists it." in about
    assert f"route https {world.bobs.url}/inbox/" in about

    answer = world.bob.reply(conversation, "hello Alice")
    wait_until(lambda: shows(world.alice, conversation, "hello Alice"))
    wait_until(lambda: "Their server has it" in world.bob.thread(conversation)[1].state)
    assert delivery(world.bobs, answer, world.alice) == ("accepted", "https", "inbox-record", "")
    assert world.alice.texts(conversation) == world.bob.texts(conversation) == [text, "hello Alice"]


def test_by_smtp_where_the_inbox_record_says_so_first(world: World) -> None:
    """Through the mail server that carries on for alice's installation, so "handed over" is all it knows."""
    bobs = repository(world, world.bob)
    before = bobs.inbox()
    assert [uri.partition(":")[0] for uri in before] == ["http", "mailto"]
    bobs.put_inbox(before[::-1])
    world.alices.a_day_passes()
    try:
        conversation, message = sent_to(world.alice, [world.bob], "by mail")
        wait_until(lambda: shows(world.bob, conversation, "by mail"))
        wait_until(lambda: "Handed over" in world.alice.thread(conversation)[-1].state)
        assert delivery(world.alices, message, world.bob) == ("handed-over", "smtp", "inbox-record", "")
        assert "By mail to localhost" in world.alice.words(f"/m/{message}/")
    finally:
        bobs.put_inbox(before)
        world.alices.a_day_passes()


def test_by_smtp_straight_to_the_server_of_the_did_document(world: World) -> None:
    alices = repository(world, world.alice)
    server = f"smtp://localhost:{world.alices.installation.ports.ingress}"
    alices.name_mail_server(server, world.mail_to_people)
    world.bobs.a_day_passes()
    try:
        conversation, message = sent_to(world.bob, [world.alice], "straight to you")
        wait_until(lambda: shows(world.alice, conversation, "straight to you"))
        wait_until(lambda: "Their server has it" in world.bob.thread(conversation)[-1].state)
        assert delivery(world.bobs, message, world.alice) == ("accepted", "smtp", "did-document", "")
        about = world.bob.words(f"/m/{message}/")
        assert "By mail to localhost" in about
        assert "The DID document of alice.test names this mail server." in about
        assert f"route smtp {server}" in about
    finally:
        alices.name_mail_server(None, world.mail_to_people)
        world.bobs.a_day_passes()


def test_three_people_are_one_conversation(world: World) -> None:
    conversation, _message = sent_to(world.alice, [world.bob, world.carol], "to both")
    for window in (world.bob, world.carol):
        wait_until(lambda window=window: shows(window, conversation, "to both"))
    world.bob.reply(conversation, "from Bob")
    for window in (world.alice, world.carol):
        wait_until(lambda window=window: shows(window, conversation, "from Bob"))
    world.carol.reply(conversation, "from Carol")
    for window in (world.alice, world.bob):
        wait_until(lambda window=window: shows(window, conversation, "from Carol"))
    for window in (world.alice, world.bob, world.carol):
        assert window.texts(conversation) == ["to both", "from Bob", "from Carol"]
        (first, *_) = window.thread(conversation)
        assert first.own == (window is world.alice)


def test_a_file_is_fetched_from_the_senders_installation(world: World) -> None:
    data = os.urandom(3_000_000)
    conversation, _message = sent_to(world.alice, [world.bob], "a file is coming")
    message = world.alice.attach(conversation, "here it is", ("map.png", data, "image/png"))
    wait_until(lambda: shows(world.bob, conversation, "here it is"))
    assert "map.png" in world.bob.words(conversation)
    for window in (world.bob, world.alice):
        answer = window.client.get(f"/m/{message}/files/0/")
        assert answer.content == data
        assert answer.headers["Content-Disposition"] == 'attachment; filename="map.png"'
    ((url,),) = world.alices.sql("SELECT content_hash || '/' || secret FROM webmail_blob")
    assert hashlib.sha256(httpx.get(f"{world.alices.url}/blobs/{url}").content).hexdigest() in url
    assert world.bobs.sql("SELECT id FROM webmail_blob") == []
    assert not list((world.bobs.installation.directory / "data").rglob("blobs/*/*"))
    with down(world.alices):
        away = world.bob.client.get(f"/m/{message}/files/0/")
        assert away.status_code == 502
        assert "does not answer" in words(away.text)
    # Nobody else gets it by the message's address.
    assert world.carol.client.get(f"/m/{message}/files/0/").status_code == 404


def test_unread_messages_are_counted_until_they_are_seen(world: World) -> None:
    conversation, _message = sent_to(world.carol, [world.bob], "one")
    world.carol.reply(conversation, "two")
    wait_until(lambda: world.bob.rows().get(conversation, "").endswith("unread: 2"))
    assert world.bob.texts(conversation) == ["one", "two"]
    assert "unread" not in world.bob.rows()[conversation]


def test_what_is_written_while_the_other_side_is_down_arrives_later(world: World) -> None:
    with down(world.bobs):
        conversation, message = sent_to(world.alice, [world.bob], "are you there?")
        wait_until(lambda: "Not yet, after" in world.alice.words(f"/m/{message}/"))
        assert "Sealed" in world.alice.thread(conversation)[-1].state
    wait_until(lambda: shows(world.bob, conversation, "are you there?"))
    wait_until(lambda: "Their server has it" in world.alice.thread(conversation)[-1].state)


def test_the_same_envelope_by_both_carriers_is_shown_once(world: World) -> None:
    with down(world.bobs):
        conversation, message = sent_to(world.alice, [world.bob], "once only")
        wait_until(lambda: envelopes(world.alices, message))
        (envelope,) = envelopes(world.alices, message)
    host = f"127.0.0.1:{world.bobs.installation.ports.ingress}"
    with smtplib.SMTP(host) as mail:
        address = f"{mailbox_local_part(world.bob.did)}@localhost"
        mail.sendmail("", [address], mail_with_envelope(envelope))
    wait_until(lambda: shows(world.bob, conversation, "once only"))
    wait_until(lambda: "Their server has it" in world.alice.thread(conversation)[-1].state)
    # And once more, long after it was put away.
    body = {"envelope": base64.b64encode(envelope).decode()}
    assert httpx.post(f"{world.bobs.url}/inbox/{world.bob.did}", json=body).status_code == 200
    wait_until(lambda: world.bobs.mails(world.bob.did, "INBOX") == [])
    assert world.bob.texts(conversation).count("once only") == 1


def test_a_signer_whose_server_is_away_is_shown_once_it_was_asked(world: World) -> None:
    world.bobs.a_day_passes()
    world.network.kill()
    try:
        conversation, message = sent_to(world.alice, [world.bob], "check me later")
        wait_until(lambda: any(each.id == message for each in world.bob.thread(conversation)))
        unchecked = world.bob.thread(conversation)[-1]
        assert unchecked.text == ""
        assert "This message is not shown yet" in unchecked.shut
        assert "The sender's server cannot be reached" in unchecked.shut
        assert "Signature not checked" in unchecked.state
    finally:
        world.network.start()
    wait_until(lambda: shows(world.bob, conversation, "check me later"))
    assert "Signed by alice.test" in world.bob.thread(conversation)[-1].state


def test_what_was_read_rests_in_the_archive_and_nowhere_else(world: World) -> None:
    for installation, window in (
        (world.alices, world.alice),
        (world.alices, world.carol),
        (world.bobs, world.bob),
    ):
        messages = [message for thread in window.everything().values() for message in thread]
        assert len(messages) > 2
        wait_until(lambda it=installation, who=window: it.mails(who.did, "INBOX") == [])
        assert len(installation.mails(window.did, "Archive")) == len(messages)
        assert installation.mails(window.did, "Quarantine") == []
        # Only these can't stand in base64 by chance.
        sentences = [message.text.encode() for message in messages if " " in message.text]
        for mail in installation.mails(window.did, "Archive"):
            assert not any(sentence in mail for sentence in sentences)


def test_what_a_revoked_device_signed_is_kept_aside(world: World) -> None:
    with down(world.bobs):
        conversation, message = sent_to(world.alice, [world.bob], "signed before the end")
        wait_until(lambda: envelopes(world.alices, message))
        world.alice.revoke_device()
        world.bobs.a_day_passes()
    wait_until(lambda: "The device that signed it was revoked before." in world.bob.words("/kept-aside/"))
    assert "signed before the end" not in world.bob.texts(conversation)
    wait_until(lambda: world.bobs.mails(world.bob.did, "INBOX") == [])
    assert len(world.bobs.mails(world.bob.did, "Quarantine")) == 1

    unsigned = world.alice.reply(conversation, "nobody can sign this")
    wait_until(lambda: "you have no device that can sign it" in world.alice.thread(conversation)[-1].state)
    world.alice.enrol()
    world.alice.post(f"/m/{unsigned}/retry/", {}, form_at=conversation)
    wait_until(lambda: shows(world.bob, conversation, "nobody can sign this"))


def test_nothing_is_sealed_for_a_person_who_revoked_their_device(world: World) -> None:
    archived = world.alices.mails(world.carol.did, "Archive")
    world.carol.revoke_device()
    world.bobs.a_day_passes()
    conversation, message = sent_to(world.bob, [world.carol], "are you still here?")
    wait_until(lambda: "Not delivered" in world.bob.thread(conversation)[-1].state)
    state = world.bob.thread(conversation)[-1].state
    assert "Not delivered to Carol: they have no device yet that can receive sealed messages." in state
    assert delivery(world.bobs, message, world.carol) == ("failed", "", "", "no-device")
    assert envelopes(world.bobs, message) == []
    assert world.alices.mails(world.carol.did, "INBOX") == []
    assert world.alices.mails(world.carol.did, "Archive") == archived


def test_each_says_whether_it_reaches_what_it_needs(world: World) -> None:
    for installation in (world.alices, world.bobs):
        assert httpx.get(f"{installation.url}/healthz").text == "ok\n"
        assert is_healthy(installation)
    world.alices.stop("redis")
    try:
        answer = httpx.get(f"{world.alices.url}/healthz")
        assert (answer.status_code, answer.text) == (503, "no answer: broker\n")
        assert not is_healthy(world.alices)
    finally:
        world.alices.start("redis")
    assert is_healthy(world.alices)


def is_healthy(installation: RunningInstallation) -> bool:
    """What the health check of docker-compose.yml finds."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    _how, _python, option, code = services["web"]["healthcheck"]["test"]
    port = str(installation.installation.ports.web)
    command = [sys.executable, option, code.replace("8000", port)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
