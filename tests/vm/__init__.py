"""Virtual machines with a kernel of their own, by Vagrant and libvirt."""
