"""Files above what a message carries: kept encrypted, found by hash at an address nobody can guess."""
