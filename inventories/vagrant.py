"""The machines of the Vagrantfile in the working directory, as the vagrant user with sudo.

``vagrant up`` first, then ``pyinfra inventories/vagrant.py deploy.py``. pyinfra asks ``vagrant
ssh-config`` for addresses and keys, so nothing is written here.
"""

hosts = [("@vagrant", {"_sudo": True})]
