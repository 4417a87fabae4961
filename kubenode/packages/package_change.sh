# shellcheck shell=sh
# What changes packages with any manager: the functions of apt_change.sh and rpm_change.sh call these,
# and have version_of and wait_for_packages.

mine() { for name in $installs $removes $related; do printf '%s ' "${name%%=*}"; done; }
pm_expected() {
  for name in $(mine); do
    version=$(version_of "$name")
    case " $expected " in
      *" $name=${version:-none} "*) ;;
      *" $name="*) return 1;;
      *) [ -z "$version" ] || return 1;;
    esac
  done
}
# a package manager outlives the shell that has started it
until_others_end() { (waited=0; said=; wait_for_packages); }
