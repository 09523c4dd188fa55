"""What anybody can read of a person's repository at their PDS, without credentials."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from django.utils.translation import gettext as _

from accounts import lookups

PAGE_SIZE = 100
ANSWER_MAX_BYTES = 2_000_000


class RepositoryError(Exception):
    """A repository that could not be read.

    ``code``: "pds-unreachable" (worth another try), "repository-gone" or "pds-answer-broken".
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Record:
    rkey: str
    cid: str
    value: Mapping[str, Any]


def get_record(pds_url: str, did: str, collection: str, rkey: str) -> Record | None:
    """One record, or None when the repository does not hold it. Raises RepositoryError."""
    found = _query(
        pds_url, "com.atproto.repo.getRecord", {"repo": did, "collection": collection, "rkey": rkey}
    )
    return None if found is None else _record(pds_url, found)


def list_records(pds_url: str, did: str, collection: str, *, at_most: int = 100) -> list[Record]:
    """The records of a collection, the first ``at_most`` in the PDS's order. Raises RepositoryError."""
    records: list[Record] = []
    cursor: str | None = None
    # A PDS that answers empty pages for ever must not keep us: no more pages than full ones would take.
    for _page in range(at_most // PAGE_SIZE + 1):
        wanted = min(PAGE_SIZE, at_most - len(records))
        if wanted <= 0:
            break
        parameters = {"repo": did, "collection": collection, "limit": str(wanted)}
        if cursor is not None:
            parameters["cursor"] = cursor
        page = _query(pds_url, "com.atproto.repo.listRecords", parameters)
        if page is None or not isinstance(page.get("records"), list):
            raise _broken(pds_url)
        records += [_record(pds_url, entry) for entry in page["records"][:wanted]]
        next_cursor = page.get("cursor")
        if not isinstance(next_cursor, str) or not page["records"]:
            break
        cursor = next_cursor
    return records


def get_blob(pds_url: str, did: str, cid: str, *, max_bytes: int) -> bytes | None:
    """A blob of at most ``max_bytes``, or None when the PDS does not have it. Raises RepositoryError."""
    url = f"{pds_url}/xrpc/com.atproto.sync.getBlob"
    try:
        response = lookups.get(
            url, params={"did": did, "cid": cid}, follow_redirects=True, max_bytes=max_bytes
        )
    except httpx.HTTPError as error:
        raise _unreachable(pds_url) from error
    if response.status_code == 200:
        return response.content
    if response.status_code in (400, 404):
        return None
    raise _unreachable(pds_url)


def _query(pds_url: str, nsid: str, parameters: dict[str, str]) -> dict[str, Any] | None:
    try:
        response = lookups.get(f"{pds_url}/xrpc/{nsid}", params=parameters, max_bytes=ANSWER_MAX_BYTES)
    except httpx.HTTPError as error:
        raise _unreachable(pds_url) from error
    try:
        found = response.json()
    except (ValueError, RecursionError) as error:
        raise _broken(pds_url) if response.status_code == 200 else _unreachable(pds_url) from error
    if not isinstance(found, dict):
        raise _broken(pds_url)
    if response.status_code == 200:
        return found
    if response.status_code == 400 and _says_no_such_record(found):
        return None
    if response.status_code == 400 and str(found.get("error", "")).startswith(("Repo", "AccountNotFound")):
        raise RepositoryError(
            "repository-gone",
            _("%(server)s does not keep this account's data any more.") % {"server": pds_url},
        )
    if response.status_code == 400 and "Could not find repo" in str(found.get("message", "")):
        raise RepositoryError(
            "repository-gone",
            _("%(server)s does not keep this account's data any more.") % {"server": pds_url},
        )
    raise _unreachable(pds_url)


def _says_no_such_record(found: dict[str, Any]) -> bool:
    # Older PDSes name no error of its own for it.
    return found.get("error") == "RecordNotFound" or str(found.get("message", "")).startswith(
        "Could not locate record"
    )


def _record(pds_url: str, entry: object) -> Record:
    if not isinstance(entry, dict) or not isinstance(entry.get("value"), dict):
        raise _broken(pds_url)
    uri, cid = entry.get("uri"), entry.get("cid")
    if not isinstance(uri, str) or not isinstance(cid, str):
        raise _broken(pds_url)
    return Record(uri.rpartition("/")[2], cid, entry["value"])


def _unreachable(pds_url: str) -> RepositoryError:
    return RepositoryError(
        "pds-unreachable", _("%(server)s does not answer. Try again later.") % {"server": pds_url}
    )


def _broken(pds_url: str) -> RepositoryError:
    return RepositoryError(
        "pds-answer-broken", _("%(server)s answers something that is not understood.") % {"server": pds_url}
    )
