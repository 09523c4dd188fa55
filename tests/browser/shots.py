"""Pictures of every page, for looking at.

python -m tests.browser.shots [NAME…]    into shots/: wide and on a phone, light and dark
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, StorageState

from demo.local_network import LocalNetwork, Person
from tests.browser.every_page import Open, pages_of
from tests.browser.first_visit import make_first_visit
from tests.browser.seeding import seed
from tests.browser.visitors import PHONE, WIDE, visitor_at
from tests.services.chromium import chromium
from tests.services.installations import running_installation

ROOT = Path(__file__).resolve().parent.parent.parent
FORMS = {"wide": WIDE, "phone": PHONE}


def main() -> None:
    chosen = set(sys.argv[1:])
    folder = ROOT / "shots"
    folder.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as temporary,
        LocalNetwork(Path(temporary) / "network") as network,
        running_installation(Path(temporary) / "installation", network.info) as installation,
        chromium() as browser,
    ):
        states = {}
        for name, account in network.info.accounts.items():
            with visitor_at(browser, installation.url, account.person) as visitor:

                def look(page_name: str, page: Page, name: str = name) -> None:
                    if name == "alice":
                        shoot_all_forms(page, page_name, folder)

                states[name] = make_first_visit(visitor, look).storage_state
        alice = network.info.accounts["alice"].person
        pages = pages_of(seed(installation, network.info))
        wanted = {name: way for name, way in pages.items() if not chosen or name in chosen}
        shoot(browser, installation.url, alice, states["alice"], wanted, folder)
    print(f"{len(list(folder.glob('*.png')))} pictures in {folder}")  # noqa: T201


def shoot(
    browser: Browser, url: str, person: Person, state: StorageState, pages: dict[str, Open], folder: Path
) -> None:
    """Each page in each form; the ones that scroll also as a whole."""
    for form, viewport in FORMS.items():
        for dark in (False, True):
            with visitor_at(
                browser, url, person, storage_state=state, viewport=viewport, dark=dark
            ) as visitor:
                for name, way in pages.items():
                    way(visitor.page)
                    theme = "dark" if dark else "light"
                    visitor.page.screenshot(
                        path=folder / f"{name}-{form}-{theme}.png", full_page=not dark, animations="disabled"
                    )


def shoot_all_forms(page: Page, name: str, folder: Path) -> None:
    """The page that is shown, without loading it again."""
    for form, viewport in FORMS.items():
        page.set_viewport_size(viewport)  # type: ignore[arg-type]
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            page.screenshot(
                path=folder / f"{name}-{form}-{theme}.png", full_page=theme == "light", animations="disabled"
            )
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
