"""Turn Linux hosts into Kubernetes nodes with pyinfra, and keep them nodes across reboots."""
