"""A fleet over SSH: copy this file, put your machines in, and run

    pyinfra inventories/ssh.py deploy.py --dry --diff     # what would change, and why
    pyinfra inventories/ssh.py deploy.py                  # change it

Each list is a group. Settings (``kubenode_...``, all listed in group_data/all.py) go beside a host,
or for a group into group_data/GROUP.py beside this file.
"""

control_plane = [
    ("control-1.example.net", {"ssh_user": "admin", "_sudo": True}),
]

workers = (
    [
        # Settings beside a host win over its groups'.
        ("worker-1.example.net", {"kubenode_modules": ["overlay", "br_netfilter", "ip_vs"]}),
        "worker-2.example.net",
    ],
    # Data of the whole group.
    {"ssh_user": "admin", "_sudo": True},
)
