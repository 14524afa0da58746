"""The published null, active memory no better than inactive or random, was that of a step size: nothing happened.
With steps put right the memory helps, but mostly where the network was trained too little, and what helps is less the
corrections than the images: a vote of the same images does as well or better.

Where weights cannot know, as for classes added after training, a memory is of real use. We take that to be the case
for such memories, and fine-tuning on the same images for their strongest rival. All but the sweeps on MNIST is
conditional on one test set of 597 digits.
"""
