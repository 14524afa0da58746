"""The published null result, that active memory is no better than inactive or random memory, was caused by the step
size: nothing happened. With corrected steps the memory helps, but mostly where the network was trained too little. The
images help more than the corrections do: a vote of the same images, in the same layer or by raw pixels, does as well or
better. In the penultimate layer the vote does worse.

Where weights cannot know the answer, as for classes added after training, a memory is really useful. We think that this
is what such memories are for, and that fine-tuning on the same images is their strongest rival. The results on digits
are conditional on one test set of 597 images.
"""

METRICS = {
    "standard error over images": (
        "of the difference in accuracy between the arm and the model it is compared with; 0 for that model itself"
    ),
    "accuracy": "share of test images that are classified correctly",
    "balanced accuracy": "mean of the accuracy on old classes and the accuracy on added classes",
    "accuracy on added classes": "accuracy on test images of classes that were not trained on",
    "accuracy on old classes": "accuracy on test images of classes that were trained on",
    "flipped": "share of test images whose predicted class the memory changes; a precondition",
    "evicted": "share of the inserted entries that were evicted by the end of training",
    "other entries": "share of the entries held at the end that the claim's first arm does not hold",
    "microseconds an image": "CPU time per classified test image, in microseconds",
    "ECE": "expected calibration error, with 15 bins of confidence",
}
"""What is measured, for the report."""
