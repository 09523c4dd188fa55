"""Use of an installation in every way, well and badly, with texts that can be told from all others."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import smtplib
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from crypto_agent import recovery_codes
from crypto_agent.atsms.certificates import mailbox_local_part
from crypto_agent.client import AgentClient, AgentError, PasskeyUse
from tests.crypto_agent.authenticator import Authenticator
from tests.faults.secret_search import distinct
from tests.services.inhabited import Inhabited
from tests.services.installations import RunningInstallation, query, wait_until
from tests.services.windows import Window, words


def canary(what: str) -> str:
    """In no other text, and its last word is long enough to be found in any form."""
    return f"{what} canary {uuid4().hex}"


@dataclass
class Used:
    """An installation after its use, what must not be found in it, and the pages that said no."""

    running: RunningInstallation
    temporary: Path
    secrets: dict[str, bytes] = field(default_factory=dict)
    refusals: dict[str, bytes] = field(default_factory=dict)
    #: What came as ordinary mail, which lies in the mailbox as it came and nowhere else.
    mail: dict[str, bytes] = field(default_factory=dict)

    def keep(self, name: str, secret: str | bytes) -> None:
        self.secrets[name] = distinct(secret) if isinstance(secret, str) else secret


def use_in_every_way(place: Inhabited, temporary: Path) -> Used:
    """alice, bob and carol write, export, import, lock and unlock: well, badly, and while parts are away
    or broken."""
    people, used = place.people, Used(place.running, temporary)
    alice, bob = people["alice"], people["bob"]
    _write(used, alice, bob)
    _write_in_other_ways(used, alice, bob)
    _name_a_group(used, *people.values())
    _get_ordinary_mail(used, bob)
    _call_as_an_app(used, place, bob)
    _export_as_text(used, alice)
    _break_the_database(used, alice)
    _err_at_the_agent(used, alice)
    _export_and_import(used, alice)
    _lock_with_a_passphrase(used, alice)
    _lock_with_a_passkey(used, bob)
    _while_the_agent_is_away(used, alice)
    return used


def _write(used: Used, alice: Window, bob: Window) -> None:
    text, name = canary("text"), canary("name")
    small, large = canary("small file"), canary("large file")
    conversation = alice.write([bob.did], text)
    wait_until(lambda: any(text in row for row in bob.rows().values()))
    for content in (small.encode(), large.encode() * 5000):
        data = {"csrfmiddlewaretoken": _token(alice, conversation), "text": "", "token": str(uuid4())}
        files = {"files": (f"{name}.txt", content, "text/plain")}
        sent = alice.client.post(f"{conversation}send/", data=data, files=files)
        assert sent.status_code == 302, words(sent.text)
    links: list[str] = []

    def both_are_there() -> bool:
        links[:] = dict.fromkeys(re.findall(r'href="(/m/[0-9a-f]+/files/\d+/)', bob.get(conversation)))
        return len(links) == 2

    wait_until(both_are_there)
    saved = b"".join(bob.client.get(link).content for link in links)
    assert small.encode() in saved
    assert large.encode() in saved
    word = text.rpartition(" ")[2]
    wait_until(lambda: f"<mark>{word}</mark>" in bob.post("/search/", {"q": word}, form_at="/").text)
    sought = uuid4().hex
    assert bob.post("/search/", {"q": sought}, form_at="/").status_code == 200
    used.keep("what was sought and is nowhere", sought)
    used.keep("the text", text)
    used.keep("a file's name", name)
    used.keep("a small file", small)
    used.keep("a large file", large)


def _write_in_other_ways(used: Used, alice: Window, bob: Window) -> None:
    """A draft, a message for later, an edit, a link's preview, and a report."""
    first, edited = canary("to be edited"), canary("edited")
    conversation = alice.write([bob.did], first)
    (message,) = (one.id for one in alice.thread(conversation) if one.text == first)
    answer = alice.post(f"/m/{message}/edit/", {"text": edited, "token": str(uuid4())})
    assert answer.status_code == 302, words(answer.text)
    wait_until(lambda: edited in bob.texts(conversation))

    draft, too_long = canary("draft"), canary("long draft")
    kept = alice.post(f"{conversation}draft/keep/", {"text": draft}, form_at=conversation)
    assert kept.status_code == 200, kept.text
    unkept = alice.post(f"{conversation}draft/keep/", {"text": too_long * 8000}, form_at=conversation)
    assert unkept.status_code == 422, unkept.text
    used.refusals["a draft that is too long"] = unkept.content
    begun = canary("a change begun")
    changing = alice.post(f"/m/{message}/edit/draft/", {"text": begun}, form_at=conversation)
    assert changing.status_code == 200, changing.text

    later = canary("later")
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    fields: dict[str, str | list[str]] = {"text": later, "token": str(uuid4()), "at": tomorrow.isoformat()}
    scheduled = alice.post(f"{conversation}send/", fields, form_at=conversation)
    assert "#p" in scheduled.headers["Location"]
    assert later in alice.words("/scheduled/")

    link, title, description = "https://pages.example/", canary("title"), canary("description")
    card = {"url": link, "title": title, "description": description, "picture": ""}
    previewed = {"text": f"look: {link}", "token": str(uuid4()), "preview": json.dumps(card)}
    assert alice.post(f"{conversation}send/", {**previewed}, form_at=conversation).status_code == 302
    wait_until(lambda: title in bob.get(conversation))

    reported = canary("reported")
    report: dict[str, str | list[str]] = {
        "reason": "spam",
        "words": reported,
        # Which message, and in how many versions it was seen.
        "message": f"{message}:2",
        "do": "send",
    }
    assert bob.post(f"/people/{alice.did}/report/", report).status_code == 200
    assert used.running.sql("SELECT id FROM webmail_report")
    _disclose_all_of(alice, bob)
    assert used.running.sql("SELECT id FROM webmail_reportfile")
    used.keep("what was edited", first)
    used.keep("what stands for it", edited)
    used.keep("a draft", draft)
    used.keep("a change that was begun", begun)
    used.keep("a draft that was not kept", too_long)
    used.keep("a message for later", later)
    used.keep("the title of a preview", title)
    used.keep("the description of a preview", description)
    used.keep("the words of a report", reported)


def _disclose_all_of(alice: Window, bob: Window) -> None:
    """Bob reports everything that alice wrote, files among it, after a look at it."""
    address = f"/people/{alice.did}/report/"
    form = bob.get(address)
    fields: dict[str, str | list[str]] = {"reason": "spam"}
    for name in ("message", "file"):
        fields[name] = re.findall(f'name="{name}" value="([^"]+)"', form)
        assert fields[name]
    for do in ("look", "send"):
        assert bob.post(address, {**fields, "do": do}).status_code == 200


def _name_a_group(used: Used, alice: Window, bob: Window, carol: Window) -> None:
    name, too_long = canary("group"), canary("long group name")
    group = alice.write([bob.did, carol.did], "to both")
    for typed in (too_long * 20, name):
        fields: dict[str, str | list[str]] = {"name": typed, "token": str(uuid4())}
        answer = alice.post(f"{group}people/name/", fields, form_at=f"{group}people/")
        assert answer.status_code == (302 if typed == name else 422), words(answer.text)
    wait_until(lambda: any(name in row for row in carol.rows().values()))
    used.keep("a group's name", name)
    used.keep("a group's name that was not taken", too_long)


def _get_ordinary_mail(used: Used, bob: Window) -> None:
    subject, text = canary("subject"), canary("ordinary mail")
    address = f"{mailbox_local_part(bob.did)}@localhost"
    raw = f"From: desk@parcels.example\r\nSubject: {subject}\r\n\r\n{text}\r\n".encode()
    with smtplib.SMTP(f"127.0.0.1:{used.running.installation.ports.ingress}") as connection:
        connection.sendmail("desk@parcels.example", [address], raw)
    wait_until(lambda: re.search(r'href="/mail/\d+/"', bob.get("/mail/")))
    (path,) = set(re.findall(r'href="(/mail/\d+/)"', bob.get("/mail/")))
    page = bob.get(path)
    assert subject in page
    assert text in page
    used.mail |= {"the subject": distinct(subject), "the text": distinct(text)}


def _call_as_an_app(used: Used, place: Inhabited, bob: Window) -> None:
    """Through bob's own server: a call that is done, one with a fault, and one that is not granted."""
    web = _as_the_web(used)
    service = web.list_grants(bob.did).service
    assert service
    expires_at = datetime.now(UTC) + timedelta(days=1)
    granted = web.create_grant(bob.did, "An app", ["sign"], expires_at=expires_at, hourly_limit=10)
    signed, wrong, unlike = canary("signed for an app"), canary("wrong in an app's call"), canary("grant")
    person, pds = place.network.info.accounts["bob"].person, f"{place.network.info.pds_url}/xrpc"
    session = httpx.post(
        f"{pds}/com.atproto.server.createSession",
        json={"identifier": person.handle, "password": person.password},
    ).json()

    def sign(grant: str, to: str, text: str) -> httpx.Response:
        return httpx.post(
            f"{pds}/dev.waxwing.agent.app.sign",
            headers={"Authorization": f"Bearer {session['accessJwt']}", "atproto-proxy": service},
            json={"grant": grant, "message": {"recipients": [to], "text": text}},
            timeout=30,
        )

    answer = sign(granted.token, place.people["alice"].did, signed)
    assert answer.status_code == 200, answer.text
    refused = {
        "a call with something wrong": sign(granted.token, wrong, wrong),
        "a call without a grant": sign(distinct(unlike).decode(), bob.did, wrong),
    }
    for name, said in refused.items():
        assert said.status_code in (400, 401, 403), said.text
        used.refusals[f"the agent's answer to {name}"] = said.content
    used.keep("what an app has signed", signed)
    used.keep("what is wrong in an app's call", wrong)
    used.keep("an app's grant", granted.token)
    used.keep("a grant that nobody gave", unlike)


def _export_as_text(used: Used, alice: Window) -> None:
    """What the download holds is all that there is of it."""
    answer = alice.post(
        "/devices/export/readable/", {"format": "json", "understood": "on", "with_files": "on"}
    )
    assert answer.status_code == 200, words(answer.text)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        everything = b"".join(archive.read(name) for name in archive.namelist())
    assert used.secrets["the text"] in everything


def _break_the_database(used: Used, alice: Window) -> None:
    """A page fails for a reason that nobody thought of, with what was typed in its hands."""
    typed = canary("broken")
    (conversation, *_) = alice.rows()
    token = _token(alice, conversation)
    used.running.sql("ALTER TABLE webmail_draft RENAME TO webmail_elsewhere")
    try:
        data = {"csrfmiddlewaretoken": token, "text": typed}
        answer = alice.client.post(f"{conversation}draft/keep/", data=data)
    finally:
        used.running.sql("ALTER TABLE webmail_elsewhere RENAME TO webmail_draft")
    assert answer.status_code == 500
    used.refusals["a page that fails"] = answer.content
    used.keep("what was typed into a page that fails", typed)


def _err_at_the_agent(used: Used, alice: Window) -> None:
    """What is wrong with a call is said, and nothing of what was in it."""
    web = _as_the_web(used)
    wrong = canary("wrong call")
    calls: dict[str, tuple[str, dict[str, object]]] = {
        "a wrong value": ("sealDraft", {"did": alice.did, "draftId": wrong[:32], "draft": {"$bytes": "AA"}}),
        "a wrong time": ("compose", {"did": alice.did, "recipients": [], "text": wrong, "createdAt": wrong}),
        "another's export": (
            "importAccount",
            {"did": alice.did, "passphrase": wrong, "keys": {"$bytes": "AA"}, "revoked": []},
        ),
    }
    for name, (method, arguments) in calls.items():
        used.refusals[f"the agent of {name}"] = _refusal(web, method, arguments)
    database = used.running.agent_database_url
    query(database, "ALTER TABLE crypto_agent_datakey RENAME TO elsewhere")
    try:
        draft = {"$bytes": base64.b64encode(wrong.encode()).decode().rstrip("=")}
        arguments = {"did": alice.did, "draftId": "00" * 16, "draft": draft}
        used.refusals["the agent without its table"] = _refusal(web, "sealDraft", arguments)
    finally:
        query(database, "ALTER TABLE elsewhere RENAME TO crypto_agent_datakey")
    used.keep("what was in a wrong call", wrong)
    used.keep("a part of it", wrong[:32])


def _as_the_web(used: Used) -> AgentClient:
    installation = used.running.installation
    url = f"http://127.0.0.1:{installation.ports.agent}"
    return AgentClient(url, installation.secrets.agent_web_token_secret, "web")


def _refusal(web: AgentClient, method: str, arguments: dict[str, object]) -> bytes:
    """What the agent answers, and the client makes of it."""
    with pytest.raises(AgentError) as raised:
        web._procedure(method, arguments)
    return f"{raised.value.code} {raised.value} {raised.value!r}".encode()


def _token(window: Window, path: str) -> str:
    found_there = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', window.get(path))
    assert found_there
    return found_there[1]


def _export_and_import(used: Used, alice: Window) -> None:
    passphrase, wrong = canary("export"), canary("wrong export")
    export = alice.post("/devices/export/", {"passphrase": passphrase, "again": passphrase})
    assert export.headers["Content-Type"] == "application/x-tar"
    differ = alice.post("/devices/export/", {"passphrase": passphrase, "again": wrong})
    used.refusals["an export that is typed differently"] = differ.content
    for typed in (wrong, passphrase):
        data = {
            "csrfmiddlewaretoken": _token(alice, "/devices/import/?again"),
            "passphrase": typed,
        }
        files = {"file": ("export.tar", export.content, "application/x-tar")}
        answer = alice.client.post("/devices/import/", data=data, files=files)
        if typed == wrong:
            assert "passphrase does not open" in words(answer.text)
            used.refusals["an import with another passphrase"] = answer.content
        else:
            assert answer.status_code == 302, words(answer.text)
    used.keep("the export's passphrase", passphrase)
    used.keep("a wrong passphrase of the export", wrong)


def _lock_with_a_passphrase(used: Used, alice: Window) -> None:
    passphrase, wrong = canary("lock"), canary("wrong lock")
    typed = {"way": "passphrase", "new": passphrase}
    used.refusals["a lock that is typed differently"] = alice.post(
        "/devices/keys/lock/", {**typed, "again": wrong}
    ).content
    locked = alice.post("/devices/keys/lock/", {**typed, "again": passphrase})
    shown = re.search(r'id="recovery-code"[^>]*>([^<]+)<', locked.text)
    assert shown, words(locked.text)
    code = shown[1].strip()
    _lock_again(alice)
    for way, value, fits in (
        ("passphrase", wrong, False),
        ("code", "AAAA" + code[4:], False),
        ("passphrase", passphrase, True),
        ("code", code, True),
    ):
        answer = alice.post("/unlock/", {"way": way, way: value, "lifetime_s": "900"})
        if fits:
            assert answer.status_code == 302, words(answer.text)
            _lock_again(alice)
        else:
            used.refusals[f"a wrong {way}"] = answer.content
    used.keep("the lock's passphrase", passphrase)
    used.keep("a wrong passphrase of the lock", wrong)
    used.keep("the recovery code", code)
    used.keep("the recovery code without dashes", code.replace("-", ""))
    used.keep("what the recovery code says", recovery_codes.read(code))


def _lock_again(window: Window) -> None:
    window.post("/lock/", {}, form_at="/devices/keys/")
    assert "Unlock your keys" in window.words("/unlock/")


def _lock_with_a_passkey(used: Used, bob: Window) -> None:
    origin = httpx.URL(used.running.url)
    passkey = Authenticator(origin=f"{origin.scheme}://{origin.host}:{origin.port}")
    made = passkey.create(bob.post("/passkeys/begin/", {}, form_at="/devices/keys/passkeys/new/").json())
    kept = bob.post(
        "/devices/keys/passkeys/new/", {"name": "A key", "passkey": json.dumps({"credential": made})}
    )
    assert kept.status_code == 302, words(kept.text)

    def use(purpose: str, page: str) -> PasskeyUse:
        return passkey.use(bob.post("/passkeys/challenge/", {"purpose": purpose}, form_at=page).json())

    locking = use("change-custody", "/devices/keys/lock/")
    locked = bob.post("/devices/keys/lock/", {"way": "passkey", "passkey": _field(locking)})
    assert "recovery-code" in locked.text, words(locked.text)
    _lock_again(bob)
    opening = use("unlock", "/unlock/")
    wrong = PasskeyUse(opening.credential, os.urandom(32))
    fields: dict[str, str | list[str]] = {"way": "passkey", "lifetime_s": "900"}
    refused = bob.post("/unlock/", {**fields, "passkey": _field(wrong)})
    assert refused.status_code != 302
    used.refusals["a passkey with another secret"] = refused.content
    opened = bob.post("/unlock/", {**fields, "passkey": _field(use("unlock", "/unlock/"))})
    assert opened.status_code == 302, words(opened.text)
    assert locking.prf is not None
    assert wrong.prf is not None
    used.keep("the passkey's secret", locking.prf)
    used.keep("another passkey's secret", wrong.prf)


def _field(use: PasskeyUse) -> str:
    assert use.prf is not None
    prf = base64.urlsafe_b64encode(use.prf).rstrip(b"=").decode()
    return json.dumps({"credential": use.credential, "prf": prf})


def _while_the_agent_is_away(used: Used, alice: Window) -> None:
    """What was typed then is in no report of it either."""
    passphrase = canary("agent away")
    token = _token(alice, "/unlock/")
    fields = {
        "csrfmiddlewaretoken": token,
        "way": "passphrase",
        "passphrase": passphrase,
        "lifetime_s": "900",
    }
    used.running.stop("agent")
    answer = alice.client.post("/unlock/", data=fields)
    assert answer.status_code == 503
    used.refusals["an agent that is away"] = answer.content
    used.running.start("agent")
    broken = alice.client.post("/unlock/", data={**fields, "lifetime_s": passphrase, "way": passphrase})
    used.refusals["a form with anything in it"] = re.sub(rb'value="[^"]*"', b"", broken.content)
    used.keep("a passphrase that nobody took", passphrase)
