"""What kubelet makes of its flags and files, and what each of its releases needs; pure."""
