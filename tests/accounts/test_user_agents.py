"""What browsers call themselves, in plain words."""

import pytest

from accounts.user_agents import browser_and_system

MOZILLA = "Mozilla/5.0"
CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0"


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        (f"{MOZILLA} (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", ("Firefox", "Linux")),
        (f"{MOZILLA} (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36", ("Chrome", "Windows")),
        (f"{MOZILLA} (Windows NT 10.0) {CHROME} Safari/537.36 Edg/130.0.0.0", ("Edge", "Windows")),
        (f"{MOZILLA} (Linux; Android 14; SM-S911B) {CHROME} Mobile Safari/537.36", ("Chrome", "Android")),
        (f"{MOZILLA} (Android 14; Mobile; rv:128.0) Gecko/128.0 Firefox/128.0", ("Firefox", "Android")),
        (
            f"{MOZILLA} (Linux; Android 14) AppleWebKit/537 SamsungBrowser/25.0 Chrome/121 Mobile Safari/537",
            ("Samsung Internet", "Android"),
        ),
        (f"{MOZILLA} (Macintosh; Intel Mac OS X 10_15_7) Version/18.0 Safari/605.1.15", ("Safari", "macOS")),
        (f"{MOZILLA} (iPhone; CPU iPhone OS 18_0 like Mac OS X) Mobile Safari/604.1", ("Safari", "iPhone")),
        (f"{MOZILLA} (iPhone; CPU iPhone OS 18_0 like Mac OS X) FxiOS/128.0", ("Firefox", "iPhone")),
        (f"{MOZILLA} (iPad; CPU OS 18_0 like Mac OS X) CriOS/130.0 Mobile", ("Chrome", "iPad")),
        (f"{MOZILLA} (X11; CrOS x86_64 14541.0.0) {CHROME} Safari/537.36", ("Chrome", "ChromeOS")),
        ("curl/8.5", ("", "")),
        ("<script>", ("", "")),
        ("", ("", "")),
    ],
)
def test_it_is_named(user_agent: str, words: tuple[str, str]) -> None:
    assert browser_and_system(user_agent) == words
