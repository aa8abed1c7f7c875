"""One file per scheme: `Settings` and `split(labels, clients, settings, rng, natural)`."""
