"""A memory that is written at run time does something for these networks that weights do not: the causal claims, in
which contents of two slots are exchanged and answers follow, are our strongest evidence, since they compare a network
with itself.

That slots generalise to unseen combinations where an LSTM and a Transformer do not owes much to their form: an
address is made of a word nearby. The tasks were chosen because they tell networks apart. Of the findings' remedies,
discrete addresses turned out not to prevent learning where something else tells what to write.
"""

METRICS = {
    "accuracy": "share of commands that are answered right in every position",
    "L3/rebinding": "accuracy on `X means jump do X then X means walk do X`: bound anew, and used before and after",
    "L3/twice": "accuracy on `X means jump do X twice`",
    "share answered with the other variable's value": (
        "of commands with two variables in slots of their own: how many are answered with the value of the one "
        "that was not asked for"
    ),
    "share of commands whose variables have different slots": (
        "by the slot that is read most when each of a command's two variables is asked for"
    ),
    "share of slots in use": "slots whose numbers, after a command was read, deviate by more than a hundredth",
    "share of pairs with both answers right": (
        "pairs of commands that differ in one binding, answered right before and after the change"
    ),
    "once": "accuracy on commands to do an action once",
    "twice": "accuracy on commands to do an action twice",
    "thrice": "accuracy on commands to do an action thrice",
    "share of the address map that a gradient reaches": (
        "numbers of the map from words to slots whose gradient, before training, is not 0"
    ),
    "past": "accuracy where a variable's earlier value is asked for",
    "present": "accuracy where a variable's present value is asked for",
    "after protecting": (
        "accuracy in unseen combinations, after one variable was protected and it or the other one bound again"
    ),
    "protected": "accuracy where the protected variable was bound again: the protected value is right",
    "share answered with the later value": (
        "of the same commands, those answered with the value that protection should have kept out"
    ),
    "others": "accuracy on all commands but those that bind a protected variable again",
    "clear": (
        "accuracy in unseen combinations on commands that clear a variable; where nothing is left, nothing is right"
    ),
    "clear/bound again": "accuracy where a variable was cleared and then bound again",
    "accuracy on the second action": (
        "share of commands whose second action, after the variable was bound again, is right"
    ),
    "six": "accuracy on commands for six repetitions, where up to four were trained",
    "eight": "accuracy on commands for eight repetitions, where up to four were trained",
    "trained": "accuracy on the commands that were trained on, up to four repetitions",
    "share with the first four positions right": (
        "commands for six or eight repetitions whose first four positions are right"
    ),
    "share that ends after one action": "sequences of two actions whose answer ends after the first",
}
"""What is measured, for the report."""
