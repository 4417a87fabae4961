# shellcheck shell=sh
# Finish what rpm was stopped at: between installing a version and removing the one before. What the
# newer one has too stays.

for package in @PACKAGES@; do
  rpm -q --qf '%{ARCH} %{INSTALLTIME} %{NEVRA}\n' "$package" | sort -k1,1 -k2,2rn | {
    newest=
    while read -r architecture _ entry; do
      if [ "$architecture" = "$newest" ]; then rpm -e --nodeps "$entry" || exit; fi
      newest=$architecture
    done
  } || exit
done
