# shellcheck shell=sh
# Remove packages if nothing goes with them but what was shown: the lists may be others by now.

packages=@PACKAGES@; unit=@UNIT@
# shellcheck disable=SC2086  # a list of packages, here and below
simulated=$(apt-get -q -s --allow-change-held-packages remove $packages) || {
  printf '%s\n' "$simulated" >&2
  exit 1
}
for goes in $(printf '%s\n' "$simulated" | sed -n 's/^Remv \([^ ]*\).*/\1/p'); do
  case " $packages " in
    *" $goes "*) ;;
    *) echo "$goes would be removed too, and was not before: nothing was changed, run again" >&2
      exit 1;;
  esac
done
# shellcheck disable=SC2086
apt-mark -q unhold $packages >/dev/null
# shellcheck disable=SC2086
NEEDRESTART_SUSPEND=1 @APT_GET@ -o DPkg::Lock::Timeout=@WAIT_SECONDS@ remove $packages || exit 1
# what is left of a unit that a package had, and the next one of that name must not find
if [ "$unit" ] && [ "$(readlink "/etc/systemd/system/$unit")" = /dev/null ]; then
  rm -f "/etc/systemd/system/$unit"
  [ ! -d /run/systemd/system ] || systemctl daemon-reload
fi
