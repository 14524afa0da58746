"""The slot memories in MLX: functions of arrays, with the names of those in memkit/memories/."""
