"""``memkit demo``: a memory, asked for a sentence of one's own."""
