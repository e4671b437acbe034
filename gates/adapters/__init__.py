"""The ports' real ends: the store, the registry, the model servers."""
