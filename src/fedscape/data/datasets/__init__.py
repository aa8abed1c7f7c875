"""One file per kind of data set: `Settings` and `load(settings, data_root, name) -> Raw`."""
