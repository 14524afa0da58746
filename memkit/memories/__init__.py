"""Memories, without a network around them: how they are written, read and reset.

Import a module and use its functions: ``from memkit.memories import slots``.

``slots``         a fixed number of slots, written and read with weights over the slots
``managed``       slots that can be cleared, and protected from later writes
``versions``      slots that keep previous versions of their content
``lru``           slots of which the least recently written one is overwritten
``associative``   a matrix from keys to values, written by the delta rule
``linformer``     slots that drift towards the hidden states that are read, as in a published GPT
``neighbours``    keys and values of examples, of which the nearest are retrieved
``eviction``      policies that decide which entries stay in a full memory of ``neighbours``
``retrieval``     exact nearest-neighbour search
``next_tokens``   the token that followed each position of a text
"""
