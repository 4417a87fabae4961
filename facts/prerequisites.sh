# shellcheck shell=sh
# What there is of the programs that kubelet and kubeadm use, and who installs the others.

[ -e /etc/os-release ] || exact /usr/lib/os-release
if [ -e /run/ostree-booted ]; then value ostree yes; fi
said programs "$(for name in @PROGRAMS@; do command -v "$name"; done)"
if command -v NetworkManager >/dev/null; then value NetworkManager there; fi
kernel=$(uname -r); value kernel "$kernel"
if [ -e /sys/module/br_netfilter ] || [ -e /proc/sys/net/bridge ]; then value bridge there
elif [ -e "/lib/modules/$kernel/modules.dep" ]; then
  captured grep -Eqs '(^|/)br_netfilter\.ko' "/lib/modules/$kernel/modules.dep" \
    "/lib/modules/$kernel/modules.builtin"
  # 2 is a file that could not be read as well as one that is not there
  case $status in 0) value bridge there;; 1) value bridge missing;; esac
fi
