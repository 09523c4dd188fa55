"""The same for targets with planted faults, and less patience for them."""

import sys

from tests.fuzzing import child
from tests.fuzzing.catalogue import CATALOGUE, Entry

MODULE = "tests.fuzzing.targets.planted"

if __name__ == "__main__":
    child.PACKAGES.append("tests.fuzzing.targets")
    child.SECONDS = 0.3
    if "hanging" in sys.argv:
        # Of the clock, so that nothing is called hanging that only waits for a busy machine.
        child.HANG_SECONDS = 2
    for name in ("crashing", "quadratic", "hanging", "growing", "greedy"):
        CATALOGUE[name] = Entry(name, MODULE, (MODULE,), longest=12000 if name == "quadratic" else 64)
    CATALOGUE["misnamed"] = Entry("misnamed", MODULE, ("crypto_agent.atsms.cbor",))
    child.main()
