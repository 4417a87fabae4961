# shellcheck shell=sh
# What an exchange of kubelet's program calls.

# program_runs: whether the one that PATH has first runs at all
program_runs() { limited @PROGRAM_SECONDS@ kubelet --version >/dev/null; }
