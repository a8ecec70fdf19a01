"""AIM on data the provider never sees: the curator over ciphertexts, and its three roles."""
