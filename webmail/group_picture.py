"""The picture of a group: made small and square before it is sealed, and decoded again before it is shown."""

from __future__ import annotations

from collections.abc import Iterable

from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

from accounts.agent import agent
from accounts.models import Account
from crypto_agent.client import AgentError, NewGroupUpdate, NewMessage, SealedContent
from webmail.blobs.cannot_fetch import CannotFetch
from webmail.blobs.spool import Spool, SpoolFull
from webmail.conversations import others_in
from webmail.groups import PICTURES, is_group
from webmail.images import decoding
from webmail.images.decoding import NotDecoded, decode
from webmail.images.showing import cannot_show
from webmail.models import Conversation, Message
from webmail.outgoing import CannotSend, refusal_of, send_message
from webmail.riding_pictures import opened_picture, sealed_picture

#: What a group update can carry in itself.
MOST_BYTES = 32 * 1024
#: The largest picture that can be chosen: what is decoded here.
MOST_CHOSEN_BYTES = decoding.MOST_BYTES
GROUP_UPDATE_KIND = 9


def change_picture(
    account: Account, conversation: Conversation, image: Iterable[bytes], token: str
) -> Message:
    """Sends everybody in a group its new picture: 256 pixels square, of its pixels alone.

    Raises CannotSend for what is no image, or too much of one, and while others are being decoded.
    """
    try:
        with Spool() as chosen:
            for chunk in image:
                chosen.write(chunk)
            if chosen.size > MOST_CHOSEN_BYTES:
                raise CannotSend("too-large", too_large())
            picture = decode(chosen, "square")
    except (NotDecoded, SpoolFull) as error:
        if isinstance(error, SpoolFull) or error.code == "busy":
            busy = _("This server is busy with other files. Try again in a moment.")
            raise CannotSend("busy", busy) from error
        raise CannotSend("no-image", _("That is not an image that can be shown here.")) from error
    try:
        attachment = sealed_picture(account, picture.media_type, picture.content)
    except AgentError as error:
        raise refusal_of(error) from error
    update = NewMessage(group_update=NewGroupUpdate(avatar=attachment))
    return send_message(account, others_in(account, conversation), update, token)


def too_large() -> str:
    """What is said of a picture of more octets than are decoded here."""
    sentence = _("That picture is too large. It can have up to %(most)s.")
    return sentence % {"most": filesizeformat(MOST_CHOSEN_BYTES)}


def update_of(account: Account, message_id: str) -> Message:
    """The group update with this id, if it may have a picture that is shown. Raises CannotFetch."""
    rows = Message.objects.filter(
        account=account, message_id=message_id, changes_group__in=PICTURES, trust__in=Message.VOUCHED_FOR
    )
    message = rows.select_related("conversation").first()
    if message is None or not is_group(message.conversation):
        raise CannotFetch("no-such-file", 404)
    return message


def picture_of(account: Account, message: Message) -> tuple[str, bytes]:
    """Media type and content of the picture that a group update gives, made anew here. Raises CannotFetch.

    One that does not ride in its message is not fetched: those who send it would learn who looks.
    """
    place = message.conversation.conversation_id
    sealed = SealedContent(place, message.message_id, bytes(message.sealed))
    try:
        (read,) = agent().read(account.did, [sealed])
        update = read.group_update
        if update is None or update.avatar is None or update.avatar.url:
            raise CannotFetch("no-such-file", 404)
        shown = opened_picture(account, sealed, read, GROUP_UPDATE_KIND, "square")
    except AgentError as error:
        raise CannotFetch("agent-unavailable", 503) from error
    except SpoolFull as error:
        raise CannotFetch("busy", 503) from error
    except NotDecoded as error:
        raise cannot_show(error) from error
    return shown.media_type, shown.content
