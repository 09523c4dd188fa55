"""All conversations as plain text: read back with ``mailbox`` and with the schema, whatever people wrote."""

from __future__ import annotations

import itertools
import os
import tracemalloc
import zipfile
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Account
from crypto_agent.atsms.content import InlinePart
from crypto_agent.client import AgentClient, AgentLimited, AgentLocked, AgentRefused, Expires, Passphrase
from tests.accounts.http_server import Server
from tests.services.agent import AgentProcess
from tests.webmail.conftest import Write, hand_over, seal
from tests.webmail.installation import new_account, peer, received
from tests.webmail.other_client import OtherClient
from tests.webmail.readable_archives import SCHEMA, conversations, mails, opened, taken, text_of
from tests.webmail.sent_files import attach, from_phone, giving, pages_ask_as_web, part_at, send
from tests.webmail.test_limits import used_up
from tests.webmail.test_locked import WORDS, lock_account
from webmail import changing, group_page
from webmail.blobs import cannot_fetch
from webmail.models import Conversation, Delivery, Message
from webmail.readable_export import export
from webmail.views import readable_export as page

pytestmark = pytest.mark.django_db
LARGE = 300_000
FROM_LINES = "From here to there\nFrom there\n>From quoted\n\nà bientôt"


@pytest.fixture(autouse=True)
def as_pages(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AgentClient:
    return pages_ask_as_web(settings, tmp_path, monkeypatch, page)


def carry_newest(sender: Account, *recipients: Account) -> None:
    envelopes = seal(Message.objects.filter(account=sender, state="composed").latest("pk"))
    for recipient in recipients:
        hand_over(recipient, envelopes[recipient.did])


@pytest.fixture
def talk(alice: Account, bob: Account, write: Write) -> list[Message]:
    """Alice and Bob: a message edited and reacted to, its answer, one taken back, one that disappears."""
    first = write(alice, [bob], "hello, wrold")
    hand_over(bob, seal(first)[bob.did])
    answer = write(
        bob,
        [alice],
        "From here to there\nFrom there\n>From quoted\n\nà bientôt",
        in_reply_to=first.message_id,
    )
    hand_over(alice, seal(answer)[alice.did])
    changing.react(bob, first.message_id, "👍", str(uuid4()))
    carry_newest(bob, alice)
    changing.edit(alice, first.message_id, "hello, [world](https://example.com/w)", str(uuid4()))
    carry_newest(alice, bob)
    regretted = write(alice, [bob], "a regretted word")
    hand_over(bob, seal(regretted)[bob.did])
    regretted.deliveries.update(state=Delivery.State.ACCEPTED)
    changing.take_back(alice, regretted.message_id, str(uuid4()))
    carry_newest(alice, bob)
    secret = write(alice, [bob], "gone in an hour", expires=Expires(True, 3600))
    hand_over(bob, seal(secret)[bob.did])
    return [first, answer, regretted, secret]


def test_a_conversation_becomes_an_mbox(
    alice: Account, bob: Account, talk: list[Message], as_pages: AgentClient, tmp_path: Path
) -> None:
    archive = taken(bob, as_pages, "mbox")
    ((name, found),) = mails(archive, tmp_path).items()
    assert name == f"conversations/0001 {alice.name}.mbox"
    first, answer, regretted, secret = found
    assert (first["From"].addresses[0].addr_spec, first["To"].addresses[0].addr_spec) == (
        "alice.test@atproto.invalid",
        "bob.test@atproto.invalid",
    )
    assert (first["Waxwing-From"], answer["Waxwing-From"]) == (alice.did, bob.did)
    assert abs(first["Date"].datetime - talk[0].created_at) < timedelta(seconds=1)
    text, _, noted = text_of(first).partition("\n-- \n")
    assert text == "hello, [world](https://example.com/w)\n"
    assert noted.startswith("Edited 20")
    assert f"👍 {bob.name}, 20" in noted
    assert text_of(answer) == FROM_LINES + "\n"
    assert answer["In-Reply-To"] == first["Message-ID"] == f"<{talk[0].message_id}@atproto.invalid>"
    assert text_of(regretted) == "[A message that was taken back]\n"
    assert text_of(secret) == "[A message that disappears, so it is not kept here]\n"
    with opened(archive) as zipped:
        readme = zipped.read("README.txt").decode()
        everything = b"".join(map(zipped.read, zipped.namelist()))
    assert "This is plain text" in readme
    for absent in (b"wrold", b"regretted word", b"gone in an hour"):
        assert absent not in everything


def test_the_same_as_json(alice: Account, bob: Account, talk: list[Message], as_pages: AgentClient) -> None:
    (conversation,) = conversations(taken(alice, as_pages, "json"))
    assert [person["did"] for person in conversation["people"]] == sorted([alice.did, bob.did])
    assert (conversation["startedBy"], conversation["accepted"]) == (alice.did, True)
    first, answer, regretted, secret = conversation["messages"]
    assert [one["id"] for one in conversation["messages"]] == [one.message_id for one in talk]
    assert (first["text"], first["own"], first["state"]) == ("hello, world", True, "open")
    assert [facet["value"] for facet in first["facets"]] == ["https://example.com/w"]
    assert "editedAt" in first
    assert [(one["emoji"], one["from"]) for one in first["reactions"]] == [("👍", bob.did)]
    assert [way["to"] for way in first["deliveries"]] == [bob.did]
    assert (answer["inReplyTo"], answer["signatureChecked"]) == (first["id"], True)
    assert (regretted["state"], secret["state"]) == ("taken-back", "disappears")
    assert not {"text", "files"} & (regretted.keys() | secret.keys())


def test_files_come_along_and_what_cannot_be_fetched_is_named(
    alice: Account, bob: Account, phone: OtherClient, as_pages: AgentClient, tmp_path: Path
) -> None:
    large, small = os.urandom(LARGE), b"a small one"
    names = ("übersicht.pdf", 'a"b\\c.txt')
    sent = send(alice, [bob], [attach(alice, large, names[0]), attach(alice, small, names[1])], "look")
    with Server(giving(b"", 404)) as server:
        from_phone(alice, phone, part_at(server.url + "/gone"))
        (found,) = mails(taken(alice, as_pages, "mbox"), tmp_path).values()
        (conversation,) = conversations(taken(alice, as_pages, "json"))
    files = [(part.get_filename(), part.get_content()) for part in found[0].iter_attachments()]
    assert [data for _, data in files] == [large, small]
    assert files[0][0] == names[0]
    assert [part.get_content_type() for part in found[0].iter_attachments()] == ["application/pdf"] * 2
    told = [part.get_content() for part in found[1].walk() if part.get_content_type() == "text/plain"]
    assert told[-1].startswith("The file “from elsewhere.png” is missing. The sender's server does not have")
    with_two, with_none = conversation["messages"]
    assert with_two["id"] == sent.message_id
    assert [file["data"] for file in with_two["files"]] == [large, small]
    assert with_none["files"] == [
        {"name": "from elsewhere.png", "mediaType": "image/png", "size": 100_000, "missing": "gone"}
    ]
    (left_out,) = conversations(taken(alice, as_pages, "json", with_files=False))
    assert {file["missing"] for one in left_out["messages"] for file in one["files"]} == {"left-out"}


def test_a_server_that_does_not_answer_is_not_waited_for_again_and_again(
    alice: Account, phone: OtherClient, as_pages: AgentClient
) -> None:
    asked = []

    def hang_up(request: Any) -> None:
        asked.append(request.path)
        request.connection.close()

    with Server(hang_up) as server:
        from_phone(alice, phone, *(part_at(f"{server.url}/{number}") for number in range(6)))
        (conversation,) = conversations(taken(alice, as_pages, "json"))
    (message,) = conversation["messages"]
    assert [file["missing"] for file in message["files"]] == ["server-silent"] * 6
    assert set(asked) == {"/0", "/1"}


def taken_slowly(account: Account, agent: AgentClient, form: export.Form, seconds: int) -> bytes:
    """An export in which every file that is asked for takes so long."""
    begun = export.begin(
        *(account, "here.test", agent, form), with_files=True, language="en", now=timezone.now()
    )
    moments = itertools.count(step=seconds)
    return b"".join(replace(begun, clock=lambda: float(next(moments))).chunks())


def test_servers_that_only_take_time_are_left_out_in_the_end(
    alice: Account, phone: OtherClient, as_pages: AgentClient
) -> None:
    asked = []

    def wrong(request: Any) -> None:
        asked.append(request.path)
        giving(b"not what was sealed")(request)

    with Server(wrong) as one, Server(wrong) as other:
        places = (f"{server.url}/{number}" for number in range(3) for server in (one, other))
        from_phone(alice, phone, *map(part_at, places))
        (message,) = conversations(taken_slowly(alice, as_pages, "json", 1000))[0]["messages"]
    # Every one takes a thousand seconds here: each is left after its first.
    assert asked == ["/0", "/0"]
    assert [file["missing"] for file in message["files"]][2:] == ["too-slow"] * 4


def test_servers_that_each_take_a_while_are_left_out_when_it_is_too_much_together(
    alice: Account, phone: OtherClient, as_pages: AgentClient, tmp_path: Path
) -> None:
    asked = []

    def wrong(request: Any) -> None:
        asked.append(request.headers["Host"])
        giving(b"not what was sealed")(request)

    with ExitStack() as running:
        servers = [running.enter_context(Server(wrong)) for _ in range(9)]
        from_phone(alice, phone, *(part_at(f"{server.url}/file") for server in servers))
        (conversation,) = conversations(taken_slowly(alice, as_pages, "json", 250))
        asked_for_json = asked[:]
        (found,) = mails(taken_slowly(alice, as_pages, "mbox", 250), tmp_path).values()
    # After eight times 250 seconds nobody else is asked, though none of them alone took too much.
    assert asked_for_json == [urlsplit(server.url).netloc for server in servers[:8]]
    assert asked == asked_for_json * 2
    (message,) = conversation["messages"]
    assert [file["missing"] for file in message["files"]] == ["changed"] * 8 + ["too-slow"]
    told = [part.get_content() for part in found[0].walk() if part.get_content_type() == "text/plain"]
    assert told[-1].startswith("The file “from elsewhere.png” is missing. Fetching files took too long")


def test_the_schema_names_every_code_of_a_missing_file() -> None:
    files = SCHEMA["$defs"]["message"]["properties"]["files"]["items"]
    fetching = set(cannot_fetch.sentences()) - {"no-image"}
    assert set(files["properties"]["missing"]["enum"]) == fetching | {"left-out", "too-slow"}


@pytest.mark.parametrize("address", ["https://[", "https://a:b", "file:///etc/passwd", "https://a b/"])
def test_what_is_no_address_is_named_as_missing(
    address: str, alice: Account, phone: OtherClient, as_pages: AgentClient
) -> None:
    from_phone(alice, phone, part_at(address))
    (conversation,) = conversations(taken(alice, as_pages, "json"))
    (message,) = conversation["messages"]
    assert [file["missing"] for file in message["files"]] == ["bad-address"]


HOSTILE_NAMES = [
    "../../../etc/passwd",
    "..\\..\\windows",
    "CON",
    "a\r\nBcc: everybody@example.com\r\n\r\nFrom nobody",
    "\u202egpj.exe",
    "=?utf-8?q?=0AFrom_evil?=",
    '"quoted" <somebody@example.com>, another',
    "x" * 640,
    "ñ😀" * 320,
    " . ",
    "",
]


@pytest.mark.parametrize("form", ["mbox", "json"])
@pytest.mark.usefixtures("agent_process")
def test_hostile_names_stay_names(form: export.Form, as_pages: AgentClient, tmp_path: Path) -> None:
    alice = new_account("alice")
    for number, name in enumerate(HOSTILE_NAMES):
        received(alice, peer(f"mallory{number}", display_name=name).did, f"text {number}\nFrom me\n.\n")
    archive = taken(alice, as_pages, form)
    with opened(archive) as found:
        paths = found.namelist()
    assert len({path.lower() for path in paths}) == len(paths)
    for path in paths:
        assert not path.startswith("/")
        assert len(path) < 200
        assert not {"..", "."} & set(path.split("/"))
        assert not set('<>:"|?*\\\r\n\u202e') & set(path)
        assert all(part.rstrip(" .") == part for part in path.split("/"))
    if form == "json":
        assert len(conversations(archive)) == len(HOSTILE_NAMES)
        return
    read = mails(archive, tmp_path)
    assert len(read) == len(HOSTILE_NAMES)
    for (mail,) in read.values():
        assert mail.defects == []
        assert mail["Bcc"] is None
        assert len(mail["From"].addresses) == len(mail["To"].addresses) == 1
        assert mail["From"].addresses[0].domain == "atproto.invalid"
        assert text_of(mail).endswith("\nFrom me\n.\n")


def test_a_hostile_file_is_only_a_file(
    alice: Account, phone: OtherClient, as_pages: AgentClient, tmp_path: Path
) -> None:
    mail = b"From evil\nSubject: forged\n\nFrom evil Sat Jan  1 00:00:00 2000\nSubject: another\n\n"
    parts = [
        InlinePart(3, {"data": mail, "contentType": kind, "filename": name})
        for kind, name in (
            ("message/rfc822", "../../up.eml"),
            ('multipart/mixed; boundary="x"', 'x"; name=y\r\nX-Evil: 1'),
            ("text/html\r\nX-Evil: 1", "\u202etxt.exe"),
        )
    ]
    from_phone(alice, phone, *parts)
    archive = taken(alice, as_pages, "mbox")
    ((only,),) = mails(archive, tmp_path).values()
    assert only["X-Evil"] is None
    attached = list(only.iter_attachments())
    assert [part.get_content_type() for part in attached] == ["application/octet-stream"] * 3
    assert [part.get_payload(decode=True) for part in attached] == [mail] * 3
    (conversation,) = conversations(taken(alice, as_pages, "json"))
    assert [file["data"] for file in conversation["messages"][0]["files"]] == [mail] * 3
    assert all("/../" not in file["path"] for file in conversation["messages"][0]["files"])


def test_the_name_of_a_group_and_what_was_not_checked(
    alice: Account, bob: Account, carol: Account, write: Write, as_pages: AgentClient, tmp_path: Path
) -> None:
    write(alice, [bob, carol], "to both")
    conversation = Conversation.objects.get(account=alice)
    group_page.name_group(alice, conversation, "The weir / ferry", str(uuid4()))
    Message.objects.filter(account=alice, changes_group="").update(trust="unchecked", trust_code="no-answer")
    (found,) = conversations(taken(alice, as_pages, "json"))
    assert found["title"] == "The weir / ferry"
    unchecked, naming = found["messages"]
    assert (unchecked["state"], unchecked["signatureChecked"], "text" in unchecked) == (
        "not-open",
        False,
        False,
    )
    assert naming["groupName"] == "The weir / ferry"
    read = mails(taken(alice, as_pages, "mbox"), tmp_path)
    assert list(read) == ["conversations/0001 The weir _ ferry.mbox"]


def test_what_was_declined_or_blocked_stays_out_and_a_request_gives_no_file(
    alice: Account, bob: Account, carol: Account, write: Write, as_pages: AgentClient
) -> None:
    data = os.urandom(LARGE)
    for sender in (bob, carol):
        sent = send(sender, [alice], [attach(sender, data)], f"of {sender.handle}")
        hand_over(alice, seal(sent)[alice.did])
    standing = Conversation.Standing
    rows = Conversation.objects.filter(account=alice)
    rows.filter(started_by=bob.did).update(standing=standing.REQUEST)
    rows.filter(started_by=carol.did).update(standing=standing.DECLINED)
    (found,) = conversations(taken(alice, as_pages, "json"))
    assert (found["startedBy"], found["accepted"]) == (bob.did, False)
    assert [file["missing"] for file in found["messages"][0]["files"]] == ["not-accepted"]
    rows.update(standing=standing.ACCEPTED, blocked=True)
    assert conversations(taken(alice, as_pages, "json")) == []


def _on_disk(folder: Path) -> bytes:
    """What lies in the unlinked files of a folder that this process has open."""
    found = b""
    for number in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{number}").startswith(str(folder)):
                found += Path(f"/proc/self/fd/{number}").read_bytes()
        except OSError:
            continue
    return found


def _peak(account: Account, agent: AgentClient, form: export.Form) -> int:
    """Bytes of memory that an export has at most, while it is thrown away as it comes."""
    made = export.begin(
        account, "waxwing.test", agent, form, with_files=True, language="en", now=timezone.now()
    )
    tracemalloc.start()
    try:
        assert max(map(len, made.chunks())) < 1_000_000
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.usefixtures("agent_process")
def test_a_larger_account_takes_no_more_memory_and_nothing_readable_lies_on_disk(
    as_pages: AgentClient, tmp_path: Path
) -> None:
    alice, bob = new_account("alice"), peer("bob")
    text = "the canary sings of plain text " * 1700
    peaks: dict[str, list[int]] = {"mbox": [], "json": []}
    for many in (40, 120):
        for number in range(many):
            received(alice, bob.did, f"{number} {text}")
        for form in get_args(export.Form):
            peaks[form].append(_peak(alice, as_pages, form))
    for form, (smaller, larger) in peaks.items():
        assert larger < smaller * 1.2, form

    made = export.begin(
        alice, "waxwing.test", as_pages, "json", with_files=True, language="en", now=timezone.now()
    )
    seen, on_disk = bytearray(), 0
    for chunk in made.chunks():
        seen += chunk
        lies = _on_disk(tmp_path / "spool")
        on_disk = max(on_disk, len(lies))
        assert b"canary" not in lies
    assert on_disk > 8_000_000
    assert _on_disk(tmp_path / "spool") == b""
    (conversation,) = conversations(bytes(seen))
    assert [message["text"].partition(" ")[2] for message in conversation["messages"]] == [text] * 160


@pytest.mark.usefixtures("agent_process")
def test_a_locked_account_is_refused_until_it_is_unlocked_and_stops_when_it_is_locked_again(
    as_pages: AgentClient,
) -> None:
    alice, bob = new_account("alice"), peer("bob")
    for number in range(120):
        received(alice, bob.did, f"number {number}")
    lock_account(alice, as_pages)
    with pytest.raises(AgentLocked):
        taken(alice, as_pages, "mbox")
    unlocked = as_pages.unlocked(as_pages.unlock(alice.did, Passphrase(WORDS), lifetime_s=600).token)
    (found,) = conversations(taken(alice, unlocked, "json"))
    assert len(found["messages"]) == 120
    made = export.begin(
        alice, "waxwing.test", unlocked, "mbox", with_files=True, language="en", now=timezone.now()
    )
    chunks = made.chunks()
    begun = next(chunks)
    unlocked.lock_now(alice.did)
    with pytest.raises(AgentLocked):
        begun += b"".join(chunks)
    with pytest.raises(zipfile.BadZipFile):
        opened(begun)


@pytest.mark.usefixtures("agent_process")
def test_an_hour_allows_so_much_and_a_worker_nothing(
    agent_process: AgentProcess, as_pages: AgentClient, settings: Settings
) -> None:
    alice = new_account("alice")
    received(alice, peer("bob").did, "hello")
    with used_up(agent_process, alice, "web", "beginReadableExport"), pytest.raises(AgentLimited):
        taken(alice, as_pages, "mbox")
    with used_up(agent_process, alice, "web", "readForExport"), pytest.raises(AgentLimited):
        taken(alice, as_pages, "mbox")
    worker = AgentClient(settings.AGENT_URL, settings.AGENT_TOKEN_SECRET, "worker")
    with pytest.raises(AgentRefused) as refused:
        taken(alice, worker, "mbox")
    assert refused.value.code == "NotPermitted"
