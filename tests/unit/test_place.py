from __future__ import annotations

from kubenode.linux.kernel_modules import Directive
from kubenode.linux.place import Place
from kubenode.linux.sysctl_d import Line


def test_a_place_in_text_and_in_facts() -> None:
    assert str(Place("/etc/x", 3)) == "/etc/x:3"
    assert str(Place("docker.service", None)) == "docker.service"
    assert Place("/etc/x", 3).shape == {"file": "/etc/x", "line": 3}


def test_what_says_more_is_a_place_too() -> None:
    line = Line("/etc/sysctl.d/x.conf", 2, "vm.max_map_count", "1", "vm/max_map_count")
    directive = Directive("/etc/modprobe.d/x.conf", 2, "blacklist overlay")
    for place in (line, directive):
        assert str(place) == f"{place.file}:2"
        assert place.shape == {"file": place.file, "line": 2}
        # there may be 50,000 of them
        assert not hasattr(place, "__dict__")
