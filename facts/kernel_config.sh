# shellcheck shell=sh
# Shared: the kernel's build options that facts ask for, $config, and $release of the running kernel.

read -r release </proc/sys/kernel/osrelease || { need uname && release=$(uname -r); }
options='^(# )?(@NAMES@)[= ]'; config=
for file in @FILES@ "/lib/modules/$release/config"; do
  [ -f "$file" ] && [ -r "$file" ] || continue
  case $file in
    *.gz)
      # an option that is not in it is off: half of it is worse than nothing
      # shellcheck disable=SC2209  # a word, not what a program says
      if command -v gzip >/dev/null; then unpack='gzip -dc'; else unpack=zcat; fi
      config=$({ $unpack <"$file" && echo '# whole'; } | grep -E "$options|^# whole")
      case $config in *'# whole') config=${config%'# whole'};; *) config=; need gzip;; esac;;
    *) config=$(grep -E "$options" "$file") || config=;;
  esac
  [ -n "$config" ] || continue
  value config_file "$file"; said config "$config"
  break
done
