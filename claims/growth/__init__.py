"""Growth need not disturb what a network computes; the toolkit's networks forgot because their new layers were drawn
at random. But we found no case for growing. With equal examples, a network that has its final size from the beginning
is ahead; with equal multiplications, counted as if a small network took none of the large one's time, it is at most two
points behind.

A memory helps a growing network as it helps any network that is trained too little. Growing with a memory works, but
that does not make it worthwhile.
"""

METRICS = {
    "standard error over images": (
        "of the difference in accuracy between the arm and the model it is compared with; 0 for that model itself"
    ),
    "accuracy": "share of test images that are classified correctly",
    "balanced accuracy": "mean of the accuracy on old classes and the accuracy on added classes",
    "flipped": "share of test images whose predicted class the memory changes; a precondition",
    "loss": "mean cross-entropy in nats, clipped for each image at that of a uniform guess, log 10",
    "kept": "share of test images whose predicted class is the same as before the network grew",
    "rise of the loss": "the largest rise of the validation loss at an event of growth, in nats",
}
"""What is measured, for the report."""
