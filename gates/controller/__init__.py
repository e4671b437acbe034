"""The controller: it observes the windows, judges the gates, decides, and commits."""
