"""Who people are: sign-in with their PDS, DID documents, device certificates, peers and routes."""
