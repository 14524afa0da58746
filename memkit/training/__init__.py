"""Training: one program for all seeds of a cohort, and the protocols that tasks and models implement for it."""
