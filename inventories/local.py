"""This machine: ``pyinfra inventories/local.py deploy.py`` (add ``--sudo`` when not root)."""

hosts = ["@local"]
