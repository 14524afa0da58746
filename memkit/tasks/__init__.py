"""Tasks: each turns a seed's generators into tensors, and enumerates the examples that it is evaluated on."""
