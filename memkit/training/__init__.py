"""Training: one program for the seeds of a cohort, and what a task and a model must offer for it."""
