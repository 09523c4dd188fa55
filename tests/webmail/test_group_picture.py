"""Pictures of groups: what becomes of them before they are sent, and who sees them."""

from __future__ import annotations

import io
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from PIL import Image

from accounts.models import Account
from tests.services.agent import AgentProcess
from tests.webmail.installation import browser_of, new_account, peer, received
from tests.webmail.pictures import MARK, bomb, decoders_busy, photo
from webmail import conversations, group_picture, threads
from webmail.blobs.spool import Spool
from webmail.images.decoding import decode
from webmail.models import Conversation, Message

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("agent_process")]


@pytest.fixture
def alice(db: None, agent_process: AgentProcess) -> Account:
    return new_account("alice", display_name="Alice")


@pytest.fixture
def group(alice: Account) -> Conversation:
    return received(alice, peer("bob").did, "hello", others=(peer("carol").did,)).conversation


def give(client: Client, group: Conversation, data: bytes) -> int:
    form = {"picture": SimpleUploadedFile("x.jpg", data, "image/jpeg"), "token": str(uuid4())}
    return client.post(reverse("conversation-picture", args=[group.conversation_id]), form).status_code


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_picture_is_small_and_square_and_says_nothing_of_where_it_was_taken(form: str) -> None:
    with Spool() as chosen:
        chosen.write(photo((900, 400), form, noisy=True))
        made = decode(chosen, "square")
    image = Image.open(io.BytesIO(made.content))
    assert (image.format, image.size, made.media_type) == ("JPEG", (256, 256), "image/jpeg")
    assert len(made.content) <= 32 * 1024
    assert MARK not in made.content
    assert not dict(image.getexif())


def test_a_group_gets_a_picture_that_its_people_see(
    alice: Account, at_alices: Client, group: Conversation
) -> None:
    assert give(at_alices, group, photo(orientation=6)) == 302
    update = Message.objects.get(changes_group="picture")
    assert threads.thread(alice, group).entries[-1].event == "You changed the picture of this group"
    (row,) = conversations.list_conversations(alice).rows
    assert row.picture == update.message_id
    address = reverse("group-picture", args=[update.message_id])
    assert f'src="{address}"' in at_alices.get(reverse("inbox")).content.decode()
    answer = at_alices.get(address)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/jpeg")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert Image.open(io.BytesIO(answer.content)).size == (256, 256)
    assert answer.headers["Cache-Control"] == "private, no-cache"
    has_it = {"If-None-Match": answer.headers["ETag"]}
    assert at_alices.get(address, headers=has_it).status_code == 304
    assert browser_of(new_account("eve")).get(address, headers=has_it).status_code == 404
    Account.objects.filter(pk=alice.pk).update(custody=Account.Custody.LOCKED)
    answer = at_alices.get(address, headers=has_it)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    Account.objects.filter(pk=alice.pk).update(custody=Account.Custody.MANAGED)
    # A name that comes later leaves the picture as it is.
    page = reverse("conversation-people", args=[group.conversation_id])
    assert (
        'accept="image/avif,image/gif,image/jpeg,image/png,image/webp"'
        in at_alices.get(page).content.decode()
    )
    at_alices.post(f"{page}name/", {"name": "Rowers", "token": str(uuid4())})
    (row,) = conversations.list_conversations(alice).rows
    assert (row.title, row.picture) == ("Rowers", update.message_id)
    Message.objects.update(trust=Message.Trust.UNCHECKED)
    assert at_alices.get(address).status_code == 404


def test_a_group_to_forward_to_has_its_picture(
    alice: Account, at_alices: Client, group: Conversation
) -> None:
    give(at_alices, group, photo())
    address = reverse("group-picture", args=[Message.objects.get(changes_group="picture").message_id])
    bobs = Message.objects.get(conversation=group, changes_group="")
    page = reverse("message-forward", args=[bobs.message_id])
    offered, chosen = at_alices.get(page), at_alices.post(page, {"to": group.conversation_id, "do": "search"})
    for answer in (offered, chosen):
        targets = answer.content.decode().partition('id="targets"')[2]
        assert targets.count(f'src="{address}"') == 1


@pytest.mark.parametrize("data", [b"", b"<svg/>", b"\xff\xd8\xff not", bomb(20_000)], ids=len)
def test_what_is_no_picture_is_refused_with_a_sentence(
    at_alices: Client, group: Conversation, data: bytes
) -> None:
    assert give(at_alices, group, data) == 422
    assert not Message.objects.filter(changes_group="picture").exists()


def test_a_picture_of_too_many_octets_is_refused_with_the_limit(
    at_alices: Client, group: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = at_alices.get(reverse("conversation-people", args=[group.conversation_id])).content.decode()
    assert "It can have up to 30.0\xa0MB." in page
    monkeypatch.setattr(group_picture, "MOST_CHOSEN_BYTES", 1024 * 1024)
    form = {
        "picture": SimpleUploadedFile("x.jpg", bytes(1024 * 1024 + 1), "image/jpeg"),
        "token": str(uuid4()),
    }
    refused = at_alices.post(reverse("conversation-picture", args=[group.conversation_id]), form)
    assert refused.status_code == 422
    assert "That picture is too large. It can have up to 1.0\xa0MB." in refused.content.decode()
    assert not Message.objects.filter(changes_group="picture").exists()


def test_a_picture_whose_turn_does_not_come_is_not_called_none(
    at_alices: Client, group: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = reverse("conversation-picture", args=[group.conversation_id])
    assert give(at_alices, group, photo()) == 302
    update = Message.objects.get(changes_group="picture")
    with decoders_busy(monkeypatch):
        form = {"picture": SimpleUploadedFile("x.jpg", photo(), "image/jpeg"), "token": str(uuid4())}
        refused = at_alices.post(address, form)
        shown = at_alices.get(reverse("group-picture", args=[update.message_id]))
    assert refused.status_code == 422
    assert "This server is busy with other files. Try again in a moment." in refused.content.decode()
    assert shown.status_code == 503
    assert Message.objects.filter(changes_group="picture").count() == 1


def test_a_message_that_gives_no_picture_has_none(at_alices: Client, group: Conversation) -> None:
    message = Message.objects.get()
    assert at_alices.get(reverse("group-picture", args=[message.message_id])).status_code == 404
    Message.objects.update(changes_group="picture")
    assert at_alices.get(reverse("group-picture", args=[message.message_id])).status_code == 404
