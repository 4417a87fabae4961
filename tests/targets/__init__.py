"""Docker targets: systemd hosts in containers, built and run to test deploys against."""
