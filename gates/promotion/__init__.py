"""Gates before and after the live ones: offline, staging, series and production rules over facts that others gather."""
