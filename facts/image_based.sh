# shellcheck shell=sh
# The image-based probe: what tells whether packages can change this system.

[ -e /etc/os-release ] || exact /usr/lib/os-release
if [ -e /run/ostree-booted ]; then value ostree yes; else value ostree no; fi
