"""Somebody at a window of WebKitGTK, and what they do on the pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    StaleElementReferenceException,
)
from selenium.webdriver import ActionChains, WebKitGTK
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.services.installations import wait_until
from tests.services.watched_pages import WatchedPages

#: Seconds for sealing, carrying, opening and checking on a busy machine.
_ARRIVAL = 30
#: A page changes under the hands of those who look for something in it.
_IN_BETWEEN = (
    StaleElementReferenceException,
    ElementNotInteractableException,
    ElementClickInterceptedException,
)


@dataclass
class Guest:
    """The browser's one window, and the proxy by which it asks for pages."""

    browser: WebKitGTK
    pages: WatchedPages
    url: str

    def go(self, path: str) -> None:
        self.browser.get(f"{self.url}{path}")

    def sign_in_with(self, cookies: Mapping[str, str]) -> None:
        """As who has these cookies of the installation."""
        self.go("/offline/")
        for name, value in cookies.items():
            self.browser.add_cookie({"name": name, "value": value, "path": "/"})

    def forget(self) -> tuple[list[str], set[str]]:
        """What failed on the pages, and who was asked, since the last time."""
        seen = (self.pages.complaints, self.pages.hosts)
        self.pages.complaints, self.pages.hosts = [], set()
        return seen

    def script(self, script: str, *arguments: object) -> Any:
        return self.browser.execute_script(script, *arguments)

    def words(self) -> str:
        words: str = self.script("return document.body.innerText")
        return words

    def focused(self) -> WebElement:
        return self.browser.switch_to.active_element

    def see(self, text: str) -> None:
        """Waits until the page says so."""
        wait_until(lambda: text in self.words(), _ARRIVAL)

    def all(self, selector: str) -> list[WebElement]:
        """What is to be seen of it."""
        found: list[WebElement] = self.script(
            "return [...document.querySelectorAll(arguments[0])].filter((one) => one.checkVisibility())",
            selector,
        )
        return found

    def one(self, selector: str) -> WebElement:
        """The last that is to be seen of it, once there is any."""
        wait_until(lambda: self.all(selector), _ARRIVAL)
        return self.all(selector)[-1]

    def press(self, words: str, within: str = "body") -> None:
        """Clicks on what says this, or else this and more, as soon as a pointer reaches it."""
        operable = ".//*[self::button or self::a or self::summary]"
        said = f"normalize-space(.) = '{words}'", f"contains(normalize-space(.), '{words}')"

        def press() -> bool:
            try:
                for one in said:
                    for found in self.one(within).find_elements(By.XPATH, f"{operable}[{one}]"):
                        if found.is_displayed():
                            found.click()
                            return True
            except _IN_BETWEEN:
                pass
            return False

        wait_until(press, _ARRIVAL)

    def type(self, *keys: str) -> None:
        """Where the focus is."""
        ActionChains(self.browser).send_keys(*keys).perform()

    def write(self, text: str) -> None:
        """In the open conversation, sent with the keys."""
        self.one("textarea#text").send_keys(text, Keys.CONTROL + Keys.ENTER)

    def message(self, text: str) -> str:
        """A selector of the newest message of the open conversation with the text, once it is there."""

        def name() -> str:
            found: str = self.script(
                "return [...document.querySelectorAll('#thread > .msg')].filter((one) =>"
                " one.querySelector('.bubble')?.textContent.includes(arguments[0])).at(-1)?.id ?? ''",
                text,
            )
            return found

        wait_until(name, _ARRIVAL)
        return f"#{name()}"

    def open_menu(self, text: str) -> WebElement:
        """The menu of the message with the text, with what can be done in it."""
        tools = f"{self.message(text)} .msg__tools"
        message = self.one(self.message(text))
        self.script("arguments[0].scrollIntoView({ block: 'nearest' })", message)
        ActionChains(self.browser).move_to_element(message).perform()
        self.one(f"{tools} .menu > summary").click()
        self.one(f"{tools} .menu__item--danger")
        return self.one(f"{tools} .menu__list")
