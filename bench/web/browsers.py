"""Accounts, each with a browser that is signed in.

python -m bench.web.browsers COUNT    within the environment of a web process that has its database

makes so many accounts, and prints as JSON for each its key and the cookies of a browser of its own.
"""

import json
import sys

import django

django.setup()

from bench.web.new_account import new_account  # noqa: E402
from tests.services.browser_sessions import cookies_of_new_browser  # noqa: E402


def main(count: int) -> None:
    accounts = [new_account(f"did:plc:{number:024d}", f"person{number}.test") for number in range(count)]
    print(json.dumps([[account.pk, cookies_of_new_browser(account)] for account in accounts]))  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]))
