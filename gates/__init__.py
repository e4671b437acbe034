"""The control plane: it watches the windows, judges the gates and moves the rollout."""
