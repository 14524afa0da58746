"""``memkit demo``: a memory that recalls a sentence from the user."""
