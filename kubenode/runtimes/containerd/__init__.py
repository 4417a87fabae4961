"""containerd: its files, the plan that changes them, its releases; pure."""
