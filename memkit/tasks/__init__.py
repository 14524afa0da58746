"""What is learnt: a task turns a seed's generators into tensors, and enumerates what it is evaluated on."""
