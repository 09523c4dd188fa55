"""Writing to an account's own repository with the rights that its owner granted (com.atproto.repo)."""

from collections.abc import Mapping
from typing import Any

import httpx
from django.utils.translation import gettext as _

import outbound
from accounts import dpop, oauth_tokens, repositories
from accounts.models import Account
from accounts.oauth import SignInError
from accounts.oauth_tokens import SignInAgain
from accounts.repositories import Record

__all__ = ["PdsClient", "PdsError", "SignInAgain"]

ANSWER_MAX_BYTES = 256 * 1024


class PdsError(Exception):
    """A write that did not happen.

    ``code``: "pds-unreachable" (worth another try), "changed-meanwhile" or "pds-refused".
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class PdsClient:
    """An account's repository, written with its newest living session; reads need no session.

    Every method raises PdsError or repositories.RepositoryError; those that write also SignInAgain, when no
    session of the account lives any more. Must not be used inside a transaction.
    """

    def __init__(self, account: Account) -> None:
        self._account = account

    def get_record(self, collection: str, rkey: str) -> Record | None:
        return repositories.get_record(self._account.pds_url, self._account.did, collection, rkey)

    def list_records(self, collection: str) -> list[Record]:
        return repositories.list_records(self._account.pds_url, self._account.did, collection, at_most=1000)

    def put_record(
        self, collection: str, rkey: str, record: Mapping[str, Any], *, instead_of: str | None = None
    ) -> str:
        """Writes a record and returns its CID.

        ``instead_of`` is the CID that the record must still have; if it has another, PdsError
        "changed-meanwhile" is raised.
        """
        body: dict[str, Any] = {
            "repo": self._account.did,
            "collection": collection,
            "rkey": rkey,
            "record": {"$type": collection, **record},
        }
        if instead_of is not None:
            body["swapRecord"] = instead_of
        return str(self._procedure("com.atproto.repo.putRecord", body).get("cid", ""))

    def delete_record(self, collection: str, rkey: str) -> None:
        """Deletes a record; one that is not there is no error."""
        body = {"repo": self._account.did, "collection": collection, "rkey": rkey}
        self._procedure("com.atproto.repo.deleteRecord", body)

    def _procedure(self, nsid: str, body: dict[str, Any]) -> dict[str, Any]:
        for session in self._account.oauth_sessions.order_by("-created_at", "-pk"):
            try:
                token, key = oauth_tokens.access_token(session)
                response = self._post(nsid, body, token, key)
                if response.status_code == 401:
                    token, key = oauth_tokens.access_token(session, refused=token)
                    response = self._post(nsid, body, token, key)
            except SignInAgain:
                continue
            except (SignInError, httpx.HTTPError) as error:
                raise self._unreachable() from error
            if response.status_code != 401:
                return self._answer(response)
        raise SignInAgain(_("Your server does not let this installation write any more. Sign in again."))

    def _post(self, nsid: str, body: dict[str, Any], token: str, key: Any) -> httpx.Response:
        return dpop.send(
            outbound.shared_client(),
            key,
            "POST",
            f"{self._account.pds_url}/xrpc/{nsid}",
            access_token=token,
            json=body,
            extensions={"max_bytes": ANSWER_MAX_BYTES},
        )

    def _answer(self, response: httpx.Response) -> dict[str, Any]:
        try:
            found = response.json() if response.content else {}
        except (ValueError, RecursionError) as error:
            raise self._unreachable() from error
        if response.status_code == 200 and isinstance(found, dict):
            return found
        if response.status_code >= 500 or response.status_code == 429 or not isinstance(found, dict):
            raise self._unreachable()
        name = str(found.get("error", ""))[:64]
        if name == "InvalidSwap":
            raise PdsError("changed-meanwhile", _("The record was changed by somebody else meanwhile."))
        raise PdsError(
            "pds-refused",
            _("%(server)s refused the record (%(code)s).")
            % {"server": self._account.pds_url, "code": name or response.status_code},
        )

    def _unreachable(self) -> PdsError:
        return PdsError(
            "pds-unreachable",
            _("%(server)s does not answer. Try again later.") % {"server": self._account.pds_url},
        )
