# shellcheck shell=sh
# Begins each command that changes a host.

LC_ALL=C; export LC_ALL
PATH="${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"; export PATH
# not root's umask, nor sudo's umask_override
umask 022
nl='
'
say() { printf '%s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
