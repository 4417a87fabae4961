"""kubenode's speed on a fleet of Docker targets, side by side with other ways to do its job."""
