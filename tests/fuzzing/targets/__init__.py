"""What is fuzzed. Each module of targets is loaded in a process of its own, with the settings it needs."""
