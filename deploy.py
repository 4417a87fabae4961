"""Run with ``pyinfra INVENTORY deploy.py``: makes every host of the inventory a node."""

from kubenode.node import prepare

prepare()
