"""The memories: what is written, read and reset, without a network around it; ``from memkit.memories import slots``.

``slots``         a fixed number of places, which weights write to and read from
``managed``       slots that can be emptied, and protected from later writes
``versions``      slots that keep what a write replaces
``lru``           slots of which the one that was written longest ago is overwritten
``associative``   a matrix from keys to values, written by the delta rule
``linformer``     slots that drift towards what is read, as in a published GPT
``neighbours``    keys and values of examples, of which the nearest are read
``eviction``      which entries of a full memory stay: the policies of ``neighbours``
``retrieval``     exact search for the nearest keys
``next_tokens``   which token followed each place of a text
"""
