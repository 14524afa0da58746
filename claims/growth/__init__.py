"""Growth need not disturb what a network computes, and the toolkit's networks forgot because layers were drawn at
random. But we found no case for growing: at equal examples a network that had its final size from the beginning is
ahead, and at equal multiplications, counted as if a small network took none of the large one's time, it is at most two
points behind.

A memory helps a growing network as it helps any that is trained too little. That growing with memory works does not
make it worth doing.
"""

METRICS = {
    "standard error over images": (
        "of the difference in accuracy from the model that the arm is compared with; 0 for that model itself"
    ),
    "accuracy": "share of test images that are classified right",
    "balanced accuracy": "mean of the accuracies on old and on added classes",
    "flipped": "share of test images whose class the memory changes; a precondition",
    "loss": "mean cross-entropy in nats, clipped image by image at that of knowing nothing, log 10",
    "kept": "share of test images that get the class that they got before the network grew",
    "rise of the loss": (
        "of all events of growth, the greatest rise of the validation loss at the event itself, in nats"
    ),
}
"""What is measured, for the report."""
