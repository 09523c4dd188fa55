"""Which mailbox a run of the demo uses, and that it stays the one that has the mail."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.mailbox_choice import MailboxGone, choose_mailbox
from tests.services.programs import need


@pytest.fixture
def unfit_folder(tmp_path: Path) -> Path:
    """One in which no Dovecot can be started: its sockets' names would be too long."""
    folder = tmp_path / ("long" * 25)
    folder.mkdir()
    return folder


@pytest.fixture
def fit_folder() -> Iterator[Path]:
    need("Dovecot")
    with tempfile.TemporaryDirectory(prefix="waxwing-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def test_dovecot_where_it_can_be_started(fit_folder: Path) -> None:
    choice = choose_mailbox(fit_folder)
    assert choice.uses_dovecot
    assert choice.explanation == "Dovecot"
    assert choose_mailbox(fit_folder) == choice


def test_files_where_it_can_not_and_the_reason_is_said(unfit_folder: Path) -> None:
    choice = choose_mailbox(unfit_folder)
    assert not choice.uses_dovecot
    assert choice.explanation.startswith("files on this disk (")
    assert "too long" in choice.explanation or "not installed" in choice.explanation


def test_mail_that_is_in_files_stays_there_when_dovecot_comes(fit_folder: Path) -> None:
    (fit_folder / "mailbox").write_text("maildir")
    choice = choose_mailbox(fit_folder)
    assert not choice.uses_dovecot
    assert "as in earlier runs" in choice.explanation


def test_mail_that_is_in_a_dovecot_which_is_gone_is_not_passed_over(unfit_folder: Path) -> None:
    (unfit_folder / "mailbox").write_text("dovecot")
    with pytest.raises(MailboxGone, match="The mail of earlier runs is in Dovecot, but "):
        choose_mailbox(unfit_folder)
