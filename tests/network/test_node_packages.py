"""Installing the local network's packages."""

from pathlib import Path

import pytest

from demo.node_packages import SOURCE, InstallFailed, install


def test_what_is_installed_is_found_again_without_a_word() -> None:
    said: list[str] = []
    folder = install(print)
    assert install(said.append) == folder
    assert said == []
    assert (folder / "node_modules" / "@atproto" / "pds" / "package.json").exists()


@pytest.mark.parametrize(
    ("there", "sentence"),
    [([], "No C\\+\\+ compiler was found: install one first"), (["c++"], "make was not found")],
)
def test_without_a_compiler_nothing_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: list[str], sentence: str
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in there:
        (programs / name).symlink_to("/bin/true")
    cache = tmp_path / "cache"
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    with pytest.raises(InstallFailed, match=sentence):
        install(print)
    assert not cache.exists()


def test_an_end_that_is_wanted_while_installing_leaves_nothing_that_looks_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Enough(Exception):
        pass

    def check() -> None:
        raise Enough

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(Enough):
        install(lambda _line: None, check)
    left = {path.suffix for path in (tmp_path / "waxwing").iterdir()}
    assert left == {".lock", ".unfinished"}


def test_the_lock_names_no_registry() -> None:
    """It holds at whichever registry a machine uses."""
    assert '"resolved"' not in (SOURCE / "package-lock.json").read_text()
