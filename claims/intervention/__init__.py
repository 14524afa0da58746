"""The published null, active memory no better than inactive or random, was that of a step size: nothing happened.
With steps put right the memory helps, but mostly where the network was trained too little, and what helps is less the
corrections than the images: a vote of the same images, in the same layer or by raw pixels, does as well or better. By
the layer before the last it does worse.

Where weights cannot know, as for classes added after training, a memory is of real use. We take that to be the case
for such memories, and fine-tuning on the same images for their strongest rival. What was measured on digits is
conditional on one test set of 597.
"""

METRICS = {
    "standard error over images": (
        "of the difference in accuracy from the model that the arm is compared with; 0 for that model itself"
    ),
    "accuracy": "share of test images that are classified right",
    "balanced accuracy": "mean of the accuracies on old and on added classes",
    "accuracy on added classes": "accuracy on images of classes that were not trained on",
    "accuracy on old classes": "accuracy on images of classes that were",
    "flipped": "share of test images whose class the memory changes; a precondition",
    "evicted": "share of what was inserted that is no longer there at the end",
    "other entries": "share of the entries at the end that the claim's first arm does not have",
    "microseconds an image": "CPU time of classifying a test image",
    "ECE": "expected calibration error, over 15 bins of confidence",
}
"""What is measured, for the report."""
