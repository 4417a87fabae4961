# shellcheck shell=sh
# Install packages if nothing goes for them but what was shown: the lists may be others by now.

simulated=$(@SIMULATION@) || { printf '%s\n' "$simulated" >&2; exit 1; }
may_go=@MAY_GO@
for goes in $(printf '%s\n' "$simulated" | sed -n -e 's/^Remv \([^ ]*\).*/\1/p' \
  -e 's/^Purg \([^ ]*\).*/\1/p'); do
  case " $may_go " in
    *" $goes "*) ;;
    *) echo "$goes would be removed, and was not before: nothing was changed, run again" >&2
      exit 1;;
  esac
done
@INSTALL@
