"""How good a model is on people it never saw, beside what is trivial. No figure without its baselines."""
