"""`penstock demo`: two rollouts on real models, from training to verdict."""
