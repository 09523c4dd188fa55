"""Messages of every kind that is composed here: written, sealed, opened by the recipient, read by both."""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from crypto_agent.atsms.content import InlinePart, new_content
from crypto_agent.atsms.parts import group_update_part, preview_part, reaction_part, receipt_part
from crypto_agent.client import (
    AgentClient,
    AgentRefused,
    Attachment,
    CarriedFile,
    Composed,
    Device,
    Expires,
    Facet,
    GroupUpdate,
    LinkPreview,
    NewGroupUpdate,
    NewMessage,
    NewPreview,
    OpenedMessage,
    ReadMessage,
    Receipt,
    SealedContent,
)
from crypto_agent.message_values import RemoteFile
from crypto_agent.part_values import group_update_of, preview_of, reactions_of, receipt_of, topic_of
from tests.crypto_agent.people import ALICE, BOB, WRITTEN_AT, receive, target

FIRST, SECOND = "01" * 32, "02" * 32
TOPIC = "0a" * 32
URL = "https://mail.test/blobs/1"
EXPIRES_AT = WRITTEN_AT + timedelta(days=30)

Exchange = Callable[[NewMessage], tuple[OpenedMessage, ReadMessage]]


@pytest.fixture
def exchange(web: AgentClient, worker: AgentClient, devices: dict[str, Device]) -> Exchange:
    """Sends a message from alice to bob: as his agent opens it, and as he reads it."""

    def send(message: NewMessage) -> tuple[OpenedMessage, ReadMessage]:
        composed = web.compose(ALICE, [BOB], message, created_at=WRITTEN_AT)
        sealed = worker.seal(ALICE, composed.content, [target(devices[BOB])])
        opened = receive(worker, BOB, sealed.copies[0].envelope)
        (read,) = web.read(BOB, [opened.content])
        (own,) = web.read(ALICE, [composed.content])
        assert read == own
        return opened, read

    return send


def _file(web: AgentClient, data: bytes, name: str = "a.png", owner: str = ALICE) -> Attachment:
    kept: list[bytes] = []
    made = web.encrypt_file(owner, "1", name, "image/png", len(data), [data], kept.append)
    assert hashlib.sha256(b"".join(kept)).hexdigest() == made.content_hash
    return Attachment("1", made.sealed, URL, EXPIRES_AT)


def test_a_reaction_is_no_bubble_and_tells_its_emoji(exchange: Exchange) -> None:
    opened, read = exchange(NewMessage(reaction="👍🏽", in_reply_to=FIRST))
    assert (opened.render_kinds, opened.apply_kinds, opened.ephemeral) == ([], [2], False)
    assert (opened.in_reply_to, list(opened.reactions)) == (FIRST, ["👍🏽"])
    assert (read.text, list(read.reactions), read.in_reply_to, read.fallback) == (None, ["👍🏽"], FIRST, "")


def test_a_receipt_tells_what_it_is_for(exchange: Exchange) -> None:
    receipt = Receipt("read", [FIRST, SECOND])
    opened, read = exchange(NewMessage(receipt=receipt))
    assert (opened.render_kinds, opened.apply_kinds, opened.ephemeral) == ([], [6], False)
    assert opened.receipt == read.receipt == receipt


def test_a_group_update_tells_its_fields_and_its_picture_without_the_key(
    exchange: Exchange, web: AgentClient
) -> None:
    avatar = _file(web, bytes(40_000))
    opened, read = exchange(NewMessage(group_update=NewGroupUpdate("Rowers", None, avatar)))
    assert opened.apply_kinds == [9]
    assert opened.group_update == read.group_update
    assert read.group_update is not None
    assert read.group_update.avatar is not None
    assert (read.group_update.title, read.group_update.description) == ("Rowers", None)
    assert (read.group_update.avatar.url, read.group_update.avatar.size) == (URL, 40_000)
    assert "avatar" not in read.parts[0]
    (same, _) = exchange(NewMessage(group_update=NewGroupUpdate(description="On Sundays")))
    assert same.group_update == GroupUpdate(None, "On Sundays", None)


def test_a_small_picture_of_a_group_rides_in_its_message(exchange: Exchange, web: AgentClient) -> None:
    picture = bytes(range(256)) * 80
    opened, read = exchange(NewMessage(group_update=NewGroupUpdate(avatar=_file(web, picture))))
    assert opened.group_update == read.group_update
    assert read.group_update is not None
    digest = hashlib.sha256(picture).hexdigest()
    assert read.group_update.avatar == RemoteFile("image/png", "", len(picture), digest)
    assert "avatar" not in read.parts[0]
    given: list[bytes] = []
    assert web.decrypt_file(BOB, opened.content, 0, 0, [], given.append) == len(picture)
    assert b"".join(given) == picture
    with pytest.raises(AgentRefused, match="in the message"):
        web.decrypt_file(BOB, opened.content, 0, 3, [b"abc"], given.append)


def test_an_edit_has_a_full_body_and_a_taking_back_none(exchange: Exchange) -> None:
    opened, read = exchange(NewMessage("Better so", replaces=FIRST))
    assert (opened.replaces, opened.render_kinds, opened.tombstone) == (FIRST, [1], False)
    assert read.text == "Better so"
    opened, read = exchange(NewMessage(takes_back=True, replaces=FIRST))
    assert (opened.replaces, opened.tombstone, read.tombstone, read.parts) == (FIRST, True, True, ())


def test_reply_topic_expiry_and_fallback_travel(exchange: Exchange) -> None:
    message = NewMessage(
        "Soon gone",
        in_reply_to=FIRST,
        topic_id=TOPIC,
        expires=Expires(relative=True, time=3600),
        fallback="A message",
    )
    opened, read = exchange(message)
    for said in (opened, read):
        assert (said.in_reply_to, said.topic_id, said.expires) == (FIRST, TOPIC, Expires(True, 3600))
    assert read.fallback == "A message"


def test_facets_given_go_before_those_of_links(exchange: Exchange) -> None:
    text = "@bob see https://a.test and https://b.test"
    given = [Facet(0, 4, "mention", BOB), Facet(9, 23, "link", "https://elsewhere.test/")]
    _, read = exchange(NewMessage(text, facets=given))
    assert list(read.facets) == [*given, Facet(28, 42, "link", "https://b.test")]


def test_a_preview_stands_behind_its_text(exchange: Exchange, web: AgentClient) -> None:
    preview = NewPreview("https://a.test/", "A page", "About things", _file(web, b"png"))
    opened, read = exchange(NewMessage("Look: https://a.test/", preview=preview))
    assert opened.render_kinds == [1, 8]
    assert read.preview is not None
    assert read.preview.image is not None
    assert read.preview.image.media_type == "image/png"
    assert read.preview == LinkPreview("https://a.test/", "A page", "About things", read.preview.image)
    assert read.parts[1] == {
        "kind": 8,
        "url": "https://a.test/",
        "title": "A page",
        "description": "About things",
    }


def test_a_small_picture_of_a_preview_rides_in_the_message(web: AgentClient, exchange: Exchange) -> None:
    picture = bytes(12 * 1024)
    preview = NewPreview("https://a.test/", image=_file(web, picture))
    opened, read = exchange(NewMessage("https://a.test/", preview=preview))
    digest = hashlib.sha256(picture).hexdigest()
    assert read.preview is not None
    assert read.preview.image == RemoteFile("image/png", "", len(picture), digest)
    assert "image" not in read.parts[1]
    given: list[bytes] = []
    assert web.decrypt_file(BOB, opened.content, 1, 0, [], given.append) == len(picture)
    assert b"".join(given) == picture


def test_a_large_picture_of_a_preview_is_decrypted_as_a_file_is(web: AgentClient) -> None:
    picture, kept = bytes(40_000), list[bytes]()
    made = web.encrypt_file(ALICE, "1", "a.png", "image/png", len(picture), [picture], kept.append)
    image = Attachment("1", made.sealed, URL, EXPIRES_AT)
    message = NewMessage("https://a.test/", preview=NewPreview("https://a.test/", image=image))
    composed = web.compose(ALICE, [BOB], message, created_at=WRITTEN_AT)
    decrypted: list[bytes] = []
    web.decrypt_file(ALICE, composed.content, 1, made.size, kept, decrypted.append)
    assert b"".join(decrypted) == picture
    with pytest.raises(AgentRefused) as refused:
        web.decrypt_file(ALICE, composed.content, 0, made.size, kept, decrypted.append)
    assert refused.value.code == "NoSuchFile"


def test_files_are_carried_into_another_message(web: AgentClient, exchange: Exchange) -> None:
    small, large = _file(web, b"small", "small.png"), _file(web, bytes(40_000), "large.png")
    first = web.compose(ALICE, [BOB], NewMessage("Two", attachments=[small, large]), created_at=WRITTEN_AT)
    (before,) = web.read(ALICE, [first.content])
    carried = [CarriedFile(first.content, 0), CarriedFile(first.content, 1)]
    opened, read = exchange(NewMessage("Still two", carried=carried, replaces=first.message_id))
    assert opened.render_kinds == [3, 3, 1]
    assert read.parts[:2] == before.parts[:2]
    alone = web.compose(ALICE, [BOB], NewMessage(carried=carried), created_at=WRITTEN_AT)
    assert web.read(ALICE, [alone.content])[0].fallback == "small.png, large.png"


def test_what_is_no_file_of_the_account_is_not_carried(web: AgentClient) -> None:
    mine = web.compose(ALICE, [BOB], "text", created_at=WRITTEN_AT)
    theirs = web.compose(
        BOB, [ALICE], NewMessage(attachments=[_file(web, b"data", owner=BOB)]), created_at=WRITTEN_AT
    )
    for message, part, code in (
        (mine, 0, "NoSuchFile"),
        (mine, 1, "NoSuchFile"),
        (theirs, 0, "CannotUnseal"),
    ):
        with pytest.raises(AgentRefused) as refused:
            web.compose(
                ALICE,
                [BOB],
                NewMessage(carried=[CarriedFile(message.content, part)]),
                created_at=WRITTEN_AT,
            )
        assert refused.value.code == code


@pytest.mark.parametrize(
    ("message", "path"),
    [
        (NewMessage(), "text: blank"),
        (NewMessage(" \n"), "text: blank"),
        (NewMessage(replaces=FIRST), "text: blank"),
        (NewMessage(takes_back=True), "takesBack: without"),
        (NewMessage("text", takes_back=True, replaces=FIRST), "takesBack: not beside"),
        (NewMessage(reaction="👍"), "reaction: without"),
        (NewMessage("text", reaction="👍", in_reply_to=FIRST), "reaction: not beside"),
        (NewMessage(reaction="👍", in_reply_to=FIRST, replaces=SECOND), "reaction: replaces nothing"),
        (NewMessage(reaction="👍", in_reply_to=FIRST, fallback="x"), "reaction: has no fallback"),
        (NewMessage(reaction="x" * 65, in_reply_to=FIRST), "reaction: more than 64"),
        (NewMessage(reaction="👍", in_reply_to="xx" * 32), "inReplyTo: not lowercase hex"),
        (NewMessage(receipt=Receipt("read", [])), "receipt.ids: fewer"),
        (NewMessage(receipt=Receipt("seen", [FIRST])), "receipt.status: not one of"),  # type: ignore[arg-type]
        (NewMessage(receipt=Receipt("read", [FIRST] * 1001)), "receipt.ids: more than"),
        (NewMessage("text", topic_id="01" * 65), "topicId: more than"),
        (NewMessage("text", expires=Expires(True, 0)), "expires.time: out of range"),
        (NewMessage("text", facets=[Facet(0, 9, "mention", BOB)]), "text: bad-content"),
        (NewMessage("text", facets=[Facet(0, 1, "bold", "")]), "text: bad-content"),
        (NewMessage("a\rb", facets=[Facet(0, 1, "mention", BOB)]), "facets: beside"),
        (NewMessage("text", preview=NewPreview("nowhere")), "preview.url: not a uri"),
    ],
)
def test_what_says_nothing_or_too_much_is_refused(web: AgentClient, message: NewMessage, path: str) -> None:
    with pytest.raises(AgentRefused, match=f".*{path}") as refused:
        web.compose(ALICE, [BOB], message, created_at=WRITTEN_AT)
    assert refused.value.code == "InvalidRequest"


@pytest.mark.parametrize(
    ("message", "quiet"),
    [
        (NewMessage("text", in_reply_to=FIRST), False),
        (NewMessage("text", replaces=FIRST), True),
        (NewMessage(takes_back=True, replaces=FIRST), True),
        (NewMessage(reaction="👍", in_reply_to=FIRST), True),
        (NewMessage(receipt=Receipt("read", [FIRST])), True),
        (NewMessage(group_update=NewGroupUpdate("Rowers")), True),
    ],
)
def test_what_changes_only_what_is_there_is_quiet(message: NewMessage, quiet: bool) -> None:
    assert message.quiet is quiet


def test_malformed_values_of_others_are_left_out() -> None:
    def content(*parts: InlinePart, topic: bytes | None = None) -> Any:
        return new_content(ALICE, [BOB], parts, salt=bytes(16), created_at=1, topic_id=topic)

    assert reactions_of(content(reaction_part("x" * 65), reaction_part("👍"), reaction_part("👍"))) == ("👍",)
    assert len(reactions_of(content(*(reaction_part(f"{number}") for number in range(20))))) == 8
    assert receipt_of(content(InlinePart(6, {"status": "seen", "ids": []}))) is None
    assert receipt_of(content(receipt_part("read", [bytes(32)] * 2000))) == Receipt(
        "read", ["00" * 32] * 1000
    )
    assert preview_of(content(preview_part("https://a.test/" + "x" * 3000))) is None
    assert preview_of(content(InlinePart(8, {"url": "https://a.test", "title": 5, "image": [1]}))) == (
        LinkPreview("https://a.test")
    )
    assert group_update_of(content(InlinePart(9, {"title": 5, "avatar": "x"}))) == GroupUpdate()
    assert group_update_of(content(group_update_part("x" * 1001))) == GroupUpdate()
    assert topic_of(content(topic=bytes(65))) is None


def test_nothing_that_is_written_is_in_a_repr() -> None:
    preview = NewPreview("https://canary.test", "canary", "canary")
    message = NewMessage("canary", preview=preview, reaction="canary", fallback="canary")
    update = NewGroupUpdate("canary", "canary")
    said = (GroupUpdate("canary", "canary"), LinkPreview("https://canary.test", "canary", "canary"))
    assert "canary" not in repr((message, update, *said))
    assert isinstance(SealedContent("", "", b"canary"), SealedContent)
    assert "canary" not in repr(Composed("", "", WRITTEN_AT, b"canary"))
