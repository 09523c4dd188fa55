"""WebKitGTK at the installation of the other tests in a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from demo.local_network import NetworkInfo
from tests.browser.conftest import FirstVisitOf
from tests.browser.visitors import WIDE
from tests.browser.webkit.guest import Guest
from tests.environment import RUN
from tests.services.installations import RunningInstallation
from tests.services.watched_pages import WatchedPages
from tests.services.webkit import resize, webkit
from tests.services.windows import Window


@pytest.fixture(scope="session")
def webkit_browser(installation: RunningInstallation) -> Iterator[Guest]:
    """One for all tests: it takes a second to start."""
    with ExitStack() as stack:
        pages = stack.enter_context(closing(WatchedPages(installation.url)))
        browser = stack.enter_context(webkit(RUN.directory / "webkit", proxy=pages.address))
        yield Guest(browser, pages, installation.url)


@pytest.fixture
def guest(
    webkit_browser: Guest, installation: RunningInstallation, local_network: NetworkInfo
) -> Iterator[Guest]:
    """A browser that nobody is signed in with.

    At the end nothing may have failed in a script, been refused by the policy, or gone to another host.
    """
    resize(webkit_browser.browser, *WIDE.values())
    yield webkit_browser
    webkit_browser.pages.is_down = False
    webkit_browser.go("/offline/")
    webkit_browser.browser.delete_all_cookies()
    complaints, hosts = webkit_browser.forget()
    assert complaints == []
    own = {installation.url, installation.url_by_number, local_network.pds_url}
    assert hosts <= {url.partition("://")[2] for url in own}


@pytest.fixture
def alice(guest: Guest, first_visit_of: FirstVisitOf) -> Guest:
    """Alice is signed in."""
    state = first_visit_of("alice").storage_state
    guest.sign_in_with({cookie["name"]: cookie["value"] for cookie in state["cookies"]})
    return guest


@pytest.fixture
def window_of(
    installation: RunningInstallation, local_network: NetworkInfo, first_visit_of: FirstVisitOf
) -> Callable[[str], Window]:
    """`window_of("bob")` signs him in once more, without a browser."""

    def window_of(name: str) -> Window:
        first_visit_of(name)
        window = Window(installation.url, local_network.accounts[name])
        window.sign_in()
        return window

    return window_of
