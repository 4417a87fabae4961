"""The running machines of the Vagrantfile in the working directory, as the vagrant user with sudo.

    vagrant up
    pyinfra inventories/vagrant.py deploy.py

pyinfra asks ``vagrant ssh-config`` for addresses and keys, so nothing is written here; settings of
one machine, or its groups, go into a file ``@vagrant.json`` beside the Vagrantfile.
"""

hosts = [
    (
        "@vagrant",
        {
            "_sudo": True,
            # what `vagrant ssh` does: a machine that is made again has another host key
            "ssh_known_hosts_file": "/dev/null",
            "ssh_strict_host_key_checking": "no",
        },
    )
]
