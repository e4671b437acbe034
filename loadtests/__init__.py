"""Load on a running Penstock, and the benchmark against the proxies that it replaces."""
