"""Settings of every host of these inventories, at their defaults.

Uncomment a line to change it for all; put it in GROUP.py beside this file for one group, or beside
a host in the inventory. A name that is not here, or a value of another type, stops the run before
anything is changed.
"""

# Kernel modules to load now and at boot (modules-load.d(5)). For kube-proxy in IPVS mode add
# "ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_sh" and "nf_conntrack".
# kubenode_modules = ["overlay", "br_netfilter"]
# kubenode_modules_file = "/etc/modules-load.d/k8s.conf"

# Sysctls to set now and at boot (sysctl.d(5)). Other keys in the file stay. The bridge keys are
# needed by bridge CNIs with iptables; ip_forward by every node.
# kubenode_sysctls = {
#     "net.bridge.bridge-nf-call-iptables": 1,
#     "net.bridge.bridge-nf-call-ip6tables": 1,
#     "net.ipv4.ip_forward": 1,
# }
# kubenode_sysctls_file = "/etc/sysctl.d/k8s.conf"

# What to do when a file that sorts later would win at boot. False: the host fails and names the
# line. True: that line is commented out, with a mark and a backup.
# kubenode_sysctls_override = False

# "off" turns swap off, now and at boot. "limited" leaves it, and checks that kubelet can give pods
# swap. "keep" leaves it. None is "off", unless kubelet is told to live with swap.
# kubenode_swap = None

# The runtime to install and configure: "containerd", "crio", "docker" (Docker Engine with
# cri-dockerd) or "mcr" (Mirantis Container Runtime, with the same settings as docker).
# kubenode_runtime = "containerd"
# A node that uses another runtime fails, and is left as it is. True: the one above takes its place,
# on a node that is drained and on which no pod runs. The other one stays installed.
# kubenode_replace_runtime = False

# "systemd" or "cgroupfs"; kubelet must use the same.
# kubenode_cgroup_driver = "systemd"

# A release ("2.3.4"), a series ("2.3": the newest patch that the source has), or a package's exact
# version ("1.7.24~ds1-6+deb13u1"). None takes what the source offers, and what the setting
# kubernetes_version needs; a containerd that is there is left alone then, if it fits.
# kubenode_containerd_version = None

# Where containerd is from: "distribution", "docker" (Docker's repository), a repository of your own
# or release archives, each a dict (docs/sources.md has examples).
# kubenode_containerd_source = "distribution"
# Who fetches archives: the host, or the control machine, once, which sends them ("control").
# kubenode_containerd_fetched_by = "host"

# Hold the package, so that an unattended upgrade does not restart the runtime.
# unattended-upgrades and needrestart are told to leave it alone too.
# kubenode_containerd_hold = True

# CRI-O, where it is the runtime: its series ("1.36"), a release or a package's exact version; None
# is the series of kubenode_kubernetes_version. The source is "distribution" or a repository, a dict
# with url, key and fingerprint, where {minor} in the url stands for CRI-O's minor release, and
# {format} for deb or rpm.
# kubenode_crio_version = None
# kubenode_crio_source = "distribution"
# kubenode_crio_hold = True
# Its registries' mirrors: by registry, such as
# {"docker.io": {"mirrors": ["mirror.example.org/docker"]}}.
# kubenode_crio_registries = {}
# Where its monitors run ("pod" or a slice), and its handler for pods that name none ("crun").
# kubenode_crio_monitor_cgroup = None
# kubenode_crio_default_runtime = None
# Runtime handlers of CRI-O, which pods choose by a RuntimeClass, with the keys of CRI-O's table:
# {"runsc": {"runtime_path": "/usr/local/bin/runsc"}}. Their programs must be on the host.
# kubenode_crio_handlers = {}

# When a change restarts the runtime: "now", "if-idle" (when no pod runs) or "never". None is now
# where pods survive it; where they do not (2.x -> 1.x), now waits until none runs, too.
# kubenode_restart = None

# None leaves what is there.
# kubenode_pause_image = None
# kubenode_snapshotter = None
# kubenode_registry_config_path = None

# Registries' mirrors, certificates and headers: by registry, the keys of its hosts.toml. What has a
# password in a header is for a file of its own, which you alone can read.
# kubenode_registry_hosts = {}

# What containerd pulls through, and how many files it may open. A change restarts containerd, when
# it may be restarted. A proxy's password is for a file of its own, too.
# kubenode_proxy = None
# kubenode_limit_nofile = None

# Directories of CNI plugins. containerd 2.1 and later look in all of them, an older one in one.
# kubenode_cni_bin_dirs = ["/opt/cni/bin", "/usr/lib/cni"]

# Where Docker Engine is from: "distribution", "docker" (Docker's repository), "mcr", or a
# repository of your own, which is a dict.
# kubenode_docker_source = "distribution"
# kubenode_docker_version = None
# kubenode_docker_hold = True
# kubenode_mcr_channel = "stable-29.4"
# kubenode_mcr_licence = None

# Where cri-dockerd is from, which answers kubelet for Docker Engine: a release archive or a
# repository, each a dict (docs/sources.md has examples). None leaves the one that is there.
# kubenode_cri_dockerd_source = None

# Containers survive a restart of Docker Engine. None leaves what is there: a Swarm excludes it.
# kubenode_docker_live_restore = True
# None leaves what is there.
# kubenode_docker_log_driver = None
# kubenode_docker_log_opts = None
# kubenode_docker_storage_driver = None
# kubenode_docker_registry_mirrors = None

# Runtime handlers, which pods choose by a RuntimeClass (nvidia, runsc, kata, crun): by name, the
# keys of containerd's table. Their programs must be on the host; docs/handlers.md has examples.
# None removes one.
# kubenode_containerd_handlers = {}
# The handler of pods that ask for none; None leaves what is there.
# kubenode_containerd_default_handler = None

# Anything else of containerd's configuration, as TOML or as a dict of the same: docs/handlers.md.
# No place for passwords.
# kubenode_containerd_fragment = None

# Change the cgroup driver although pods of the other driver run. Drain the node instead.
# kubenode_change_driver_under_pods = False

# The release the node is for, such as "1.36": from 1.35 on a host with cgroup v1 fails.
# kubenode_kubernetes_version = None

# Install kubelet, kubeadm, kubectl, cri-tools and kubernetes-cni of kubenode_kubernetes_version:
# "upstream" from Kubernetes' own repositories, a dict from a mirror of them, such as
# {"url": "https://mirror.example.org/kubernetes/{version}/{format}"}. None installs none of them.
# A control plane is taken to a new release with kubenode_kubernetes_packages = ["kubeadm"] first.
# kubenode_kubernetes_source = None
# kubenode_kubernetes_packages = ["kubelet", "kubeadm", "kubectl", "cri-tools", "kubernetes-cni"]
# kubenode_kubernetes_hold = True

# Fields of kubelet's configuration that must agree with the node, such as {"failSwapOn": False,
# "memorySwap": {"swapBehavior": "LimitedSwap"}, "containerLogMaxSize": "50Mi"}.
# cgroupDriver is kubenode_cgroup_driver; {} has that alone. None leaves kubelet as it is.
# kubenode_kubelet = None

# How long pods may take to end when the machine is shut down or rebooted, such as "60s", and how
# much of that is critical pods' own, which end last. logind lets the shutdown wait so long.
# kubenode_shutdown_grace_period = None
# kubenode_shutdown_grace_period_critical_pods = None

# Install the programs that kubelet, kubeadm and kube-proxy use and the host lacks (conntrack,
# socat, iptables, ...). None does where kubenode_kubernetes_version is set.
# kubenode_prerequisites = None

# What the audit expects besides what every node needs: "bridge-cni", "ipv6", "ipvs", "nftables",
# "control-plane".
# kubenode_profiles = ["bridge-cni"]

# Findings to live with for a while, by check (`kubenode checks` lists them).
# kubenode_waivers = {
#     "network.firewall": {"reason": "ports are open, ticket 4711", "until": "2027-01-31"},
# }
