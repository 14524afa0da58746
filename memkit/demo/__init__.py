"""``memkit demo``: a memory that recalls a sentence of the user's."""
