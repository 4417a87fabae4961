"""What modprobe.d files forbid: inputs with the answer, which kmod itself confirms on targets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One file of modprobe.d."""

    text: str
    forbids: bool
    """Whether ``modprobe MODULE`` does not load the module."""
    module: str = "overlay"
    at_boot: bool = False
    """Whether systemd-modules-load does not either, though ``modprobe`` does: blacklists."""


def _blacklist(text: str, module: str = "overlay") -> Case:
    return Case(text, forbids=False, module=module, at_boot=True)


CASES = (
    # blacklist: of interest to what loads by an alias, and to systemd-modules-load
    _blacklist("blacklist overlay"),
    _blacklist("  blacklist\toverlay"),
    _blacklist("blacklist overlay # comment"),
    _blacklist("blacklist br-netfilter", "br_netfilter"),
    _blacklist("black\\\nlist overlay"),
    _blacklist("blacklist \\\noverlay"),
    _blacklist("blacklist over\\lay"),
    Case("blacklist overlay\r", False),
    Case("blacklist over*", False),
    Case("#blacklist overlay", False),
    Case("# comment \\\nblacklist overlay", False),
    Case(" # blacklist overlay", False),
    Case("blacklist", False),
    Case("Blacklist overlay", False),
    Case("blacklist overlayfs", False),
    # install: any command that does not load it
    Case("install overlay /bin/false", True),
    Case("install overlay /bin/false\r", True),
    Case("install overlay /usr/bin/true", True),
    Case("install overlay /bin/true # CIS", True),
    Case("install overlay :", True),
    Case("install overlay exit 0", True),
    Case("install overlay exit 1", True),
    Case("install overlay /bin/false || true", True),
    Case("install overlay /bin/true && /bin/true", True),
    Case("install overlay logger overlay is forbidden", True),
    Case("install overlay /usr/local/sbin/forbidden overlay", True),
    Case("install overlay echo modprobe -i overlay", True),
    Case("install overlay # modprobe -i overlay", True),
    Case("install overlay exit 0; /sbin/modprobe -i overlay", True),
    Case("install overlay false && /sbin/modprobe -i overlay", True),
    Case("install overlay true || /sbin/modprobe -i overlay", True),
    Case("install overlay /sbin/modprobe -i foo", True),
    Case("install overlay /sbin/modprobe -n -i overlay", True),
    Case("install overlay if false; then /sbin/modprobe -i overlay; fi", True),
    Case("install overlay   /bin/false", True),
    Case("install\toverlay\t/bin/false", True),
    Case("install over* /bin/false", True),
    Case("install [n-p]verlay /bin/false", True),
    Case("install [^x]verlay /bin/false", True),
    Case("install overlay \\\n/bin/false", True),
    Case("install br-netfilter /bin/false", True, "br_netfilter"),
    Case("install br[-_]netfilter /bin/false", True, "br_netfilter"),
    Case("install overlay /bin/false\ninstall overlay /sbin/modprobe -i overlay", True),
    # a module that another needs
    Case("install bridge /bin/false", True, "br_netfilter"),
    _blacklist("install bridge /sbin/modprobe -i bridge\nblacklist br_netfilter", "br_netfilter"),
    # install: what loads it, or is about something else
    Case("install overlay", False),
    Case("install overlay /sbin/modprobe -i overlay", False),
    Case("install overlay /sbin/modprobe --ignore-install overlay", False),
    Case("install overlay /sbin/modprobe -i overlay $CMDLINE_OPTS", False),
    Case("install overlay /sbin/modprobe --quiet --ignore-install overlay && true", False),
    Case("install overlay /sbin/modprobe -qi overlay || true", False),
    Case("install overlay true; /sbin/modprobe -i overlay", False),
    Case("install overlay true && /sbin/modprobe -i overlay", False),
    Case("install overlay /sbin/modprobe foo; /sbin/modprobe -i overlay", False),
    Case("install overlay /sbin/modprobe -i overlay # and why", False),
    Case("install overlay /sbin/modprobe -i overlay\ninstall overlay /bin/false", False),
    Case("install br_netfilter modprobe -i br-netfilter", False, "br_netfilter"),
    Case("install foo /bin/false", False),
    Case("install over[ /bin/false", False),
    Case("#install overlay /bin/false", False),
    # alias: the name stands for another module
    Case("alias overlay off", True),
    Case("alias overlay foo", True),
    Case("alias over* off", True),
    Case("alias over-lay off", False),
    Case("alias overlay overlay", False),
    Case("alias overlay off\nalias over* overlay", False),
    Case("alias fs-overlay overlay", False),
    Case("alias overlay", False),
    # what forbids nothing
    Case("remove overlay /bin/false", False),
    Case("softdep overlay pre: foo", False),
    Case("softdep overlay post: nothing", False),
    Case("options overlay metacopy=on", False),
    Case("overlay /bin/false", False),
    Case("", False),
)
