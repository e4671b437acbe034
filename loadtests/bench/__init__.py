"""`make bench`: Penstock beside nginx and Envoy, on one core, under the same load, in neighbouring runs."""
