"""A PKCS#11 token in software, with its own folder and PIN."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tests.services.programs import find_program, need

MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
PIN, SO_PIN = "90210", "security-officer"


@dataclass(frozen=True)
class SoftToken:
    """A new token; ``variables`` are what a process needs in its environment to reach it."""

    directory: Path
    uri: str

    @property
    def variables(self) -> dict[str, str]:
        return {
            "SOFTHSM2_CONF": str(self.directory / "softhsm2.conf"),
            "WAXWING_AGENT_OPERATOR_KEY": self.uri,
        }


def soft_token(directory: Path) -> SoftToken:
    """Makes a token in ``directory``; skips the test where SoftHSM is not installed."""
    need("SoftHSM")
    module = next(path for path in MODULES if Path(path).exists())
    tokens = directory / "tokens"
    tokens.mkdir(parents=True)
    (directory / "softhsm2.conf").write_text(
        f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    pin_file = directory / "pin"
    pin_file.write_text(f"{PIN}\n")
    uri = (
        f"pkcs11:token=waxwing%20test;object=operator"
        f"?module-path={quote(module)}&pin-source=file:{quote(str(pin_file))}"
    )
    token = SoftToken(directory, uri)
    program = find_program("softhsm2-util")
    assert program is not None
    subprocess.run(
        [program, "--init-token", "--free", "--label", "waxwing test", "--pin", PIN, "--so-pin", SO_PIN],
        env=token.variables,
        check=True,
        capture_output=True,
    )
    return token
