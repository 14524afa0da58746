"""The slot memories in MLX: functions of arrays, as in memkit/memories/."""
