# shellcheck shell=sh
# A runtime's program that packages bring.

program_expected() { pm_expected; }
program_fetch() { pm_fetch && pm_unpack && candidate=$change/root/usr/bin:$change/root/usr/sbin; }
program_keep() { pm_keep; }
program_switch() { pm_switch; }
program_is_there() { pm_is_there; }
program_back() { pm_back; }
program_hold() { pm_hold; }
