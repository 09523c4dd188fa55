"""Fuzzing of every decoder of what others send: hypothesis, and libFuzzer guided by coverage (atheris)."""
