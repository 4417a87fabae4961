"""The ``kubenode`` command."""

# pyinfra runs hosts as greenlets: the standard library must be patched before anything uses it.
from gevent import monkey

monkey.patch_all()

from kubenode.cli import main  # noqa: E402

if __name__ == "__main__":
    main()
