# shellcheck shell=sh
# Fetch a repository's lists into a folder of their own, and touch nothing of the host's apt.

needs apt-get grep
# what comes last counts: apt.conf is read behind apt.conf.d
lay_out() {
  mkdir -p "$staged/lists/partial" "$staged/cache/archives/partial" &&
    printf %s "$content_1" | base64 -d >"$staged/key.asc" &&
    printf %s "$content_2" | base64 -d >"$staged/repository.sources" &&
    if [ -f /etc/apt/apt.conf ]; then cat /etc/apt/apt.conf; fi >"$staged/apt.conf" &&
    printf %s "$content_3" | base64 -d >>"$staged/apt.conf" &&
    printf 'Dir::Etc::main "%s";\n' "$staged/apt.conf" >"$staged/first.conf"
}
lay_out || not_proven "cannot write to $staged"
# the lock is not for what apt starts
said=$(APT_CONFIG=$staged/first.conf apt-get -q update 2>&1 9>&-)
status=$?
case $said in
  *"doesn't have the component"* | *"doesn't support architecture"*) status=100;;
esac
if [ "$status" = 0 ]; then
  for list in "$staged"/lists/*Release; do [ -f "$list" ] || status=100; done
fi
if [ "$status" != 0 ]; then
  printf '%s\n' "$said" | grep -v -E '^(Get|Hit|Ign|Fetched|Reading)' >&2
  # of a signature that does not count apt says last that it is not signed
  case $said in
    *'ertificate verif'*)
      why='has a TLS certificate that this host does not trust';;
    *'invalid since'*) why="has a signature that is too old ($clock)";;
    *'not valid yet'* | *'ot live until'* | *'invalid for another'*)
      why="is signed in the future: $clock, set it where that is wrong";;
    *EXPKEYSIG* | *'xpired'*)
      why="is signed by a key that has expired: ask who signs it ($clock)";;
    *NO_PUBKEY* | *'Missing key'* | *'is not signed'*)
      why='is not signed by the pinned key: see which key signs it, and what fingerprint is set';;
    *' 404 '* | *'does not have a Release file'*)
      why='has not what is asked for: see its url, suite and components';;
    *"doesn't have the component"* | *"doesn't support architecture"*)
      why='has not that component, or nothing for this architecture';;
    *) why='gave no lists';;
  esac
  not_proven "repository @NAME@ $why"
fi
packages=@PACKAGES@
for package in $packages; do
  grep -q -x "Package: $package" "$staged"/lists/*_Packages ||
    not_proven "repository @NAME@ has no package $package"
done
