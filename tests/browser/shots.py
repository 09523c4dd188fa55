"""Pictures of every page, for looking at.

python -m tests.browser.shots [NAME…]      into shots/: wide and on a phone, light and dark
python -m tests.browser.shots --readme     the one in docs/ that the README shows
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, StorageState, sync_playwright

from demo.local_network import LocalNetwork, Person
from tests.browser.custody_walk import walk_through_custody
from tests.browser.every_page import Open, pages_of
from tests.browser.first_visit import make_first_visit
from tests.browser.seeding import seed_conversations, seed_troubles
from tests.browser.visitors import PHONE, WIDE, visitor_at
from tests.services.chromium import chromium
from tests.services.installations import running_installation
from tests.services.smtp_sink import SmtpSink

ROOT = Path(__file__).resolve().parent.parent.parent
FORMS = {"wide": WIDE, "phone": PHONE}


def main() -> None:
    readme = sys.argv[1:] == ["--readme"]
    chosen = set(sys.argv[1:]) - {"--readme"}
    folder = ROOT / "shots"
    folder.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as temporary,
        LocalNetwork(Path(temporary) / "network") as network,
        SmtpSink() as sink,
        running_installation(
            Path(temporary) / "installation", network.info, settings={"WAXWING_SMTP_RELAY_URL": sink.url}
        ) as installation,
        sync_playwright() as playwright,
        chromium(playwright) as browser,
    ):
        states = {}
        for name, account in network.info.accounts.items():
            with visitor_at(browser, installation.url, account.person) as visitor:

                def look(page_name: str, page: Page, name: str = name) -> None:
                    if name == "alice" and not readme:
                        shoot_all_forms(page, page_name, folder)

                states[name] = make_first_visit(visitor, look).storage_state
        alice = network.info.accounts["alice"].person
        seeded = seed_conversations(installation, network.info)
        if readme:
            with visitor_at(browser, installation.url, alice, storage_state=states["alice"]) as visitor:
                visitor.page.goto(seeded.with_bob)
                visitor.page.screenshot(path=ROOT / "docs" / "conversation.png")
            return
        seed_troubles(installation, network.info, seeded)
        if not chosen or "custody" in chosen:
            with visitor_at(browser, installation.url, alice, storage_state=states["alice"]) as visitor:
                walk_through_custody(
                    visitor, seeded.with_bob, lambda name, page: shoot_all_forms(page, name, folder)
                )
                states["alice"] = visitor.context.storage_state()
        pages = pages_of(seeded, installation)
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
