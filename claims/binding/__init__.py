"""A memory that is written at run time does something for these networks that weights do not: the causal claims, in
which contents of two slots are exchanged and answers follow, are our strongest evidence, since they compare a network
with itself.

That slots generalise to unseen combinations where an LSTM and a Transformer do not owes much to their form: an
address is made of a word nearby. The tasks were chosen because they tell networks apart, and larger controls come
nearer. Of the findings' remedies, discrete addresses turned out not to prevent learning where something else tells
what to write.
"""
