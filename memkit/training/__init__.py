"""Training: recipes, cohorts, the trainer, the store of trained runs, executors."""
