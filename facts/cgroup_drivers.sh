# shellcheck shell=sh
# The drivers probe, kubelet and containerd apart: other runtimes and what they are configured with.

command -v dockerd >/dev/null && value dockerd yes
command -v crio >/dev/null && value crio yes
set --
for path in @CRIO_DROP_INS@/*; do [ ! -f "$path" ] || set -- "$@" "$path"; done
if [ ! -r @CRIO_DROP_INS@ ] || [ ! -x @CRIO_DROP_INS@ ]; then
  is_absent @CRIO_DROP_INS@ || unreadable @CRIO_DROP_INS@
fi
learn "$@"
set -f; IFS=$nl
for path in $learned; do exact "$path"; done
set +f; unset IFS
# sends its version: `crio version 1.31.0`, `cri-dockerd 0.3.17 (483e3b6)`
for name in crio cri-dockerd; do
  command -v "$name" >/dev/null || continue
  captured_part limited 10 "$name" --version; value "version:$name" "${output%%"$nl"*}"
done
