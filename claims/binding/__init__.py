"""A memory that is written at run time does something for these networks that weights do not. The causal claims, in
which two slots exchange their contents and the answers follow, are our strongest evidence, since they compare a network
with itself.

Slots generalise to unseen combinations where an LSTM and a Transformer do not, largely because of their form: an
address is computed from a nearby word. The tasks were chosen because they separate the networks. Contrary to the
findings, discrete addresses do not prevent learning where something else determines what to write.
"""

METRICS = {
    "accuracy": "share of commands that are answered correctly in every position",
    "L3/rebinding": "accuracy on `X means jump do X then X means walk do X`: bound again, and used before and after",
    "L3/twice": "accuracy on `X means jump do X twice`",
    "share answered with the other variable's value": (
        "of commands whose two variables have different slots, the share answered with the value of the variable that "
        "was not asked for"
    ),
    "share of commands whose variables have different slots": (
        "a variable's slot is the one that is read most when that variable is asked for"
    ),
    "share of slots in use": "share of slots whose numbers have a standard deviation above 0.01 after the commands",
    "share of pairs with both answers right": (
        "pairs of commands that differ in one binding; both have to be answered correctly"
    ),
    "once": "accuracy on commands to do an action once",
    "twice": "accuracy on commands to do an action twice",
    "thrice": "accuracy on commands to do an action thrice",
    "share of the address map that a gradient reaches": (
        "of the weights that map words to slots, those with a gradient other than 0 before training"
    ),
    "past": "accuracy on commands that ask for a variable's earlier value",
    "present": "accuracy on commands that ask for a variable's present value",
    "after protecting": (
        "accuracy in unseen combinations on commands that protect one variable, and then bind it or the other one again"
    ),
    "protected": "accuracy on commands that bind the protected variable again; the protected value is correct",
    "share answered with the later value": (
        "share of the same commands answered with the value that protection should have kept out"
    ),
    "others": "accuracy on all commands except those that bind a protected variable again",
    "clear": (
        "accuracy in unseen combinations on commands that clear a variable; a cleared variable has an empty answer"
    ),
    "clear/bound again": "accuracy on commands that clear a variable and then bind it again",
    "accuracy on the second action": (
        "share of commands whose second action, after the variable was bound again, is correct"
    ),
    "six": "accuracy on commands for six repetitions; training had up to four",
    "eight": "accuracy on commands for eight repetitions; training had up to four",
    "trained": "accuracy on the training commands, with up to four repetitions",
    "share with the first four positions right": (
        "commands for six or eight repetitions whose first four positions are correct"
    ),
    "share that ends after one action": "of sequences of two actions, the share whose answer ends after the first",
}
"""What is measured, for the report."""
