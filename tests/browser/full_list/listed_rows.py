"""python -m tests.browser.full_list.listed_rows put|remove DID FILE    in the environment of a web process

Puts the sealed notes into the webmail's database as the newest conversations, with pictures of everybody as
they are kept once they were fetched; or removes them.
"""

import hashlib
import json
import sys
from datetime import timedelta
from pathlib import Path

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.utils import timezone  # noqa: E402
from PIL import Image, ImageFilter, ImageOps  # noqa: E402

from accounts.models import Account, Peer  # noqa: E402
from tests.browser.full_list.people import Listed, listed  # noqa: E402
from webmail.images.child import AVATAR_PIXELS, avatars  # noqa: E402
from webmail.models import Conversation, ConversationMember, Delivery, Message  # noqa: E402


def put(did: str, path: Path) -> None:
    account = Account.objects.get(did=did)
    for number, (one, note) in enumerate(zip(listed(), json.loads(path.read_text()), strict=True)):
        _put_person(one, number)
        _put_conversation(account, one, number, *note)


def remove(did: str, path: Path) -> None:
    rows = Conversation.objects.filter(
        account__did=did, conversation_id__in=[note[0] for note in json.loads(path.read_text())]
    )
    rows.update(last_message=None)
    rows.delete()
    Peer.objects.filter(did__in=[one.did for one in listed()]).delete()


def _put_person(one: Listed, number: int) -> None:
    cid = (
        "bafkrei"
        + hashlib.sha256(one.did.encode()).hexdigest().translate({48: "w", 49: "x", 56: "y", 57: "z"})[:52]
    )
    Peer.objects.create(
        did=one.did, handle=one.handle, display_name=one.name, avatar=cid, profile_checked_at=timezone.now()
    )
    folder = Path(settings.DATA_DIR) / "avatars"
    folder.mkdir(exist_ok=True)
    name = hashlib.sha256(f"{one.did}/{cid}".encode()).hexdigest()
    for pixels, picture in zip(AVATAR_PIXELS, avatars(_likeness(number)), strict=True):
        (folder / f"{name}-{pixels}.webp").write_bytes(picture)


def _likeness(number: int) -> Image.Image:
    """As full of detail as a face with something behind it."""
    noise = Image.effect_noise((400, 400), 90 + number)
    soft = (
        noise.resize((60, 60))
        .resize((400, 400), Image.Resampling.BICUBIC)
        .filter(ImageFilter.GaussianBlur(2))
    )
    face = ImageOps.colorize(ImageOps.autocontrast(soft), "#3b2418", "#f2d6c0")
    face.paste(Image.linear_gradient("L").resize((400, 140)).convert("RGB"), (0, 0))
    return face


def _put_conversation(
    account: Account, one: Listed, number: int, conversation_id: str, message_id: str, sealed: str
) -> None:
    at = timezone.now() - timedelta(seconds=number)
    conversation = Conversation.objects.create(
        account=account,
        conversation_id=conversation_id,
        participants=sorted((account.did, one.did)),
        started_by=one.did,
        last_activity=at,
        unread_count=one.unread,
    )
    ConversationMember.objects.create(conversation=conversation, did=one.did)
    conversation.last_message = Message.objects.create(
        account=account,
        conversation=conversation,
        message_id=message_id,
        direction=Message.Direction.OUT if one.own else Message.Direction.IN,
        state=Message.State.PLACED,
        sender_did=account.did if one.own else one.did,
        trust=Message.Trust.OWN if one.own else Message.Trust.SIGNED,
        created_at=at,
        placed_at=at,
        unread=bool(one.unread),
        sealed=bytes.fromhex(sealed),
        archived_at=at,
        indexed_at=at,
    )
    conversation.save(update_fields=["last_message"])
    if one.own:
        Delivery.objects.create(
            message=conversation.last_message,
            recipient_did=one.did,
            state=Delivery.State.ACCEPTED,
            next_attempt_at=None,
            finished_at=at,
        )


if __name__ == "__main__":
    {"put": put, "remove": remove}[sys.argv[1]](sys.argv[2], Path(sys.argv[3]))
