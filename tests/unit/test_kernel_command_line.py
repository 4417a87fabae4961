"""The kernel command line: quotes, flags, and where init's part begins."""

from kubenode.linux.kernel_command_line import parameters


def test_parameters() -> None:
    line = 'a=1 b "c d"=e f="g h" i=j=k -- l=m'
    assert parameters(line) == [
        ("a", "1"),
        ("b", None),
        ("c d", "e"),
        ("f", "g h"),
        ("i", "j=k"),
    ]
