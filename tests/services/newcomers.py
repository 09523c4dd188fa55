"""People who come to the local PDS later than the others."""

import httpx

from demo.local_network import LocalAccount, NetworkInfo, Person


def newcomer(network: NetworkInfo, name: str, display_name: str) -> LocalAccount:
    """Makes an account with the handle `name`.test, which calls itself `display_name`."""
    person = Person(name, f"{name}.test", display_name, f"{name}@pds.test", f"{name}-pass")
    with httpx.Client(base_url=f"{network.pds_url}/xrpc/", timeout=20) as pds:
        made = pds.post(
            "com.atproto.server.createAccount",
            json={"handle": person.handle, "email": person.email, "password": person.password},
        )
        made.raise_for_status()
        profile = {"$type": "app.bsky.actor.profile", "displayName": display_name}
        place = {"repo": made.json()["did"], "collection": "app.bsky.actor.profile", "rkey": "self"}
        pds.headers["Authorization"] = f"Bearer {made.json()['accessJwt']}"
        pds.post("com.atproto.repo.putRecord", json={**place, "record": profile}).raise_for_status()
    return LocalAccount(person, made.json()["did"])
