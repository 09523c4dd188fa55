"""What people at the local PDS say about themselves, changed as another app of theirs would."""

import base64

import httpx

from demo.local_network import NetworkInfo

#: Eight by eight pixels of one colour.
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR42mOwyYvCihiGlgQAXr9BAYVU38cAAAAASUVORK5CYII="
)


def set_profile(network: NetworkInfo, name: str, *, display_name: str, picture: bool = False) -> None:
    """Writes the profile record of one of the local people, with a picture or without."""
    account = network.accounts[name]
    with httpx.Client(base_url=f"{network.pds_url}/xrpc/", timeout=20) as pds:
        session = _json(
            pds.post(
                "com.atproto.server.createSession",
                json={"identifier": account.person.handle, "password": account.person.password},
            )
        )
        pds.headers["authorization"] = f"Bearer {session['accessJwt']}"
        profile: dict[str, object] = {"$type": "app.bsky.actor.profile", "displayName": display_name}
        if picture:
            sent = pds.post(
                "com.atproto.repo.uploadBlob", content=PICTURE, headers={"content-type": "image/png"}
            )
            profile["avatar"] = _json(sent)["blob"]
        record = {
            "repo": account.did,
            "collection": "app.bsky.actor.profile",
            "rkey": "self",
            "record": profile,
        }
        _json(pds.post("com.atproto.repo.putRecord", json=record))


def _json(answer: httpx.Response) -> dict[str, object]:
    document: dict[str, object] = answer.raise_for_status().json()
    return document
