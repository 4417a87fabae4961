# shellcheck shell=sh
# What kubeadm init and join want not to be there. No process is started.

for file in @FILES@; do
  if [ -e "$file" ]; then value "$file" there; continue; fi
  directory=$file
  while directory=${directory%/*}; [ -n "$directory" ]; do
    if [ -d "$directory" ]; then
      [ -x "$directory" ] || unreadable "$file"
      break
    fi
  done
done
if [ -d @ETCD_DATA@ ]; then
  if [ ! -r @ETCD_DATA@ ] || [ ! -x @ETCD_DATA@ ]; then unreadable @ETCD_DATA@
  else
    etcd=empty
    for entry in @ETCD_DATA@/* @ETCD_DATA@/.[!.]* @ETCD_DATA@/..?*; do
      if [ -e "$entry" ] || [ -L "$entry" ]; then etcd=used; break; fi
    done
    value @ETCD_DATA@ "$etcd"
  fi
elif [ -e @ETCD_DATA@ ]; then value @ETCD_DATA@ used; fi
