"""How fast the crypto agent is, beside what nothing could be faster than in the same run."""
