#!/usr/bin/perl
# A stand-in for kubelet @VERSION@: it reads flags, its configuration and drop-ins, fails in kubelet's
# words, and says at /healthz that it is healthy. It runs no pod.
use strict;
use warnings;
use IO::Socket::INET;
use IO::Socket::UNIX;

my %known = map { $_ => 1 } qw(@FLAGS@);
my %bool = map { $_ => 1 } qw(version help fail-swap-on fail-cgroupv1 protect-kernel-defaults register-node
  rotate-certificates seccomp-default runonce make-iptables-util-chains);
my %field = map { $_ => 1 } qw(@FIELDS@);
my %gate = map { $_ => 1 } qw(@GATES@);

# its command line is kubelet's, not perl's with a file's name: to the byte as long as that was
$0 = join("\0", '/usr/bin' . '/.' x 7 . '/kubelet', @ARGV);
if (open(my $comm, '>', '/proc/self/comm')) { print $comm 'kubelet'; close $comm }

sub fail { print STDERR qq(E0000 run.go:72] "command failed" err="$_[0]"\n); exit 1 }

my (%flag, @left);
my @words = @ARGV;
while (@words) {
  my $word = shift @words;
  if ($word =~ /^-v(=?\d*)$/) { shift @words if $1 eq '' && @words; next }
  if ($word !~ /^--(.+)/s) { push @left, $word; next }
  my ($name, $value) = split /=/, $1, 2;
  $name =~ tr/_/-/;
  fail("failed to parse kubelet flag: unknown flag: --$name") unless $known{$name};
  if (!defined $value) { $value = $bool{$name} ? 'true' : shift @words }
  fail("failed to parse kubelet flag: flag needs an argument: --$name") unless defined $value;
  $flag{$name} = $value;
}
fail("unknown command $left[0]") if @left;
if ($flag{version}) { print "Kubernetes v@VERSION@\n"; exit 0 }

my %config = (
  healthzPort => 10248, healthzBindAddress => '127.0.0.1', failSwapOn => 'true',
  containerRuntimeEndpoint => 'unix:///run/containerd/containerd.sock',
  imageGCHighThresholdPercent => 85, imageGCLowThresholdPercent => 80,
);
sub load {
  my ($path) = @_;
  open(my $file, '<', $path) or fail("failed to load kubelet config file, path: $path, error: "
    . "failed to load Kubelet config file $path, error failed to read kubelet config file "
    . "\\\"$path\\\", error: open $path: no such file or directory");
  my ($top, %seen, %stated);
  my $number = 0;
  while (my $line = <$file>) {
    $number++;
    next if $line =~ /^\s*(#.*)?$/ || $line =~ /^---/;
    if ($line =~ /^(\w+):\s*(.*?)\s*(\s#.*)?$/) {
      $top = $1;
      my $raw = my $value = $2;
      # a warning: the later one counts
      print STDERR qq(I0000 codec.go:102] "Using lenient decoding as strict decoding failed" err=<\n)
        . qq(\tstrict decoding error: yaml: unmarshal errors:\n\t  line $number: )
        . qq(key "$top" already set in map\n >\n) if $seen{$top}++;
      $value =~ s/^"(.*)"$/$1/;
      fail("failed to load kubelet config file, path: $path, error: failed to load Kubelet config "
        . "file $path, error failed to decode: json: cannot unmarshal string into Go struct field KubeletConfiguration.$top of type bool")
        if $top =~ /^(failSwapOn|protectKernelDefaults)$/ && $raw !~ /^(true|false)$/;
      $stated{$top} = $value;
    } elsif ($line =~ /^\s+(\w+):\s*(.*?)\s*$/ && defined $top) { $stated{"$top.$1"} = $2 }
    elsif ($line =~ /^\s*- (.*?)\s*$/ && defined $top) { $stated{$top} .= " $1" }
    else { fail("failed to load kubelet config file, path: $path, error: failed to decode: yaml: "
      . "line $number: could not find expected ':'") }
  }
  fail("failed to load kubelet config file, path: $path, error: no kind \\\"KubeletConfiguration\\\" "
    . "is registered for version \\\"" . ($stated{apiVersion} // '') . "\\\"")
    unless ($stated{apiVersion} // '') eq 'kubelet.config.k8s.io/v1beta1';
  for my $name (sort grep { !/\./ } keys %stated) {
    print STDERR qq(W0000 codec.go:102] "Using lenient decoding as strict decoding failed" )
      . qq(err="strict decoding error: unknown field \\"$name\\""\n) unless $field{$name};
  }
  %config = (%config, %stated);
}
load($flag{config}) if $flag{config};
if ($flag{'config-dir'}) { load($_) for sort glob("$flag{'config-dir'}/*.conf") }
my %of_flag = ('fail-swap-on' => 'failSwapOn', 'healthz-port' => 'healthzPort',
  'container-runtime-endpoint' => 'containerRuntimeEndpoint', 'cgroup-driver' => 'cgroupDriver');
for my $name (keys %of_flag) { $config{$of_flag{$name}} = $flag{$name} if defined $flag{$name} }

my $gates = $flag{'feature-gates'} // '';
for my $name ((map { /^(\w+)=/ ? $1 : () } split /,/, $gates),
    map { /^featureGates\.(\w+)/ ? $1 : () } sort keys %config) {
  fail("failed to set feature gates from initial flags-based config: unrecognized feature gate: $name")
    unless $gate{$name};
}
my @wrong;
my $swap = $config{'memorySwap.swapBehavior'} // '';
push @wrong, qq(invalid configuration: memorySwap.swapBehavior \\"$swap\\" must be one of: \\"\\", )
  . qq(\\"LimitedSwap\\" or \\"NoSwap\\") unless $swap =~ /^(LimitedSwap|NoSwap|)$/;
push @wrong, "invalid configuration: imageGCLowThresholdPercent (--image-gc-low-threshold) "
  . "$config{imageGCLowThresholdPercent} must be less than imageGCHighThresholdPercent "
  . "(--image-gc-high-threshold) $config{imageGCHighThresholdPercent}"
  if $config{imageGCLowThresholdPercent} >= $config{imageGCHighThresholdPercent};
for my $kind ('system', 'kube') {
  my $enforced = $config{enforceNodeAllocatable} // '';
  push @wrong, "invalid configuration: ${kind}ReservedCgroup (--${kind}-reserved-cgroup) must be "
    . "specified when \\\"${kind}-reserved\\\" or \\\"${kind}-reserved-compressible\\\" included in "
    . "enforceNodeAllocatable (--enforce-node-allocatable)"
    if $enforced =~ /\b${kind}-reserved\b/ && !$config{"${kind}ReservedCgroup"};
}
push @wrong, 'invalid configuration: runOnce (--runOnce) true, Runonce mode has been deprecated '
  . 'and should not be set' if ($config{runOnce} // '') eq 'true';
fail('failed to validate kubelet configuration, error: ' . join(', ', @wrong)
  . ', path: &TypeMeta{Kind:,APIVersion:,}') if @wrong;
for my $kind ('system', 'kube') {
  my $cgroup = $config{"${kind}ReservedCgroup"} or next;
  fail("Failed to start ContainerManager: $cgroup cgroup does not exist")
    unless -d "/sys/fs/cgroup$cgroup" || -d "/sys/fs/cgroup$cgroup.slice";
}
if ($config{failSwapOn} ne 'false' && open(my $swaps, '<', '/proc/swaps')) {
  my @lines = <$swaps>;
  fail('failed to run Kubelet: running with swap on is not supported, please disable swap or set '
    . '--fail-swap-on flag to false') if @lines > 1;
}
my ($socket) = $config{containerRuntimeEndpoint} =~ m{^unix://(/.*)};
fail("failed to run Kubelet: validate service connection: validate CRI v1 runtime API for endpoint "
  . "\\\"$config{containerRuntimeEndpoint}\\\": rpc error: code = Unavailable desc = connection error")
  unless $socket && IO::Socket::UNIX->new(Peer => $socket);
print STDERR qq(I0000 server.go:525] "Kubelet version" kubeletVersion="v@VERSION@"\n);
if ($config{healthzPort} == 0) { sleep 3600 while 1 }
my $server = IO::Socket::INET->new(LocalAddr => $config{healthzBindAddress},
  LocalPort => $config{healthzPort}, Listen => 5, ReuseAddr => 1)
  or fail("failed to run Kubelet: listen tcp $config{healthzBindAddress}:$config{healthzPort}: $!");
while (my $client = $server->accept) {
  <$client>;
  print $client "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";
  close $client;
}
