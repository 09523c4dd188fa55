"""Key custody and the XRPC service around it; runs on a host that has neither accounts nor webmail."""
