"""What prepare does of each runtime, and of kubelet and kubeadm: a module each."""
