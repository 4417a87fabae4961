#!/usr/bin/perl
# A stand-in for kubectl @VERSION@: `get --raw PATH` over plain HTTP, of --server or of a kubeconfig.
use strict;
use warnings;
use IO::Socket::INET;

my ($server, $path);
for (@ARGV) {
  $server = $1 if /^--server=(.*)/;
  if (/^--kubeconfig=(.*)/ && open(my $file, '<', $1)) {
    while (my $line = <$file>) { $server = $1 if $line =~ /^\s*server:\s*(\S+)/ }
  }
  $path = $_ if m{^/};
}
my ($host, $port, $below) = ($server // '') =~ m{^http://([^:/]+):(\d+)(.*)}
  or die "The connection to the server was refused\n";
my $socket = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Timeout => 3)
  or die "The connection to the server $host:$port was refused\n";
print $socket "GET $below$path HTTP/1.0\r\nHost: $host\r\n\r\n";
local $/;
my ($head, $body) = split /\r\n\r\n/, <$socket>, 2;
$head =~ m{^HTTP/\S+ 200} or die "Error from server\n";
print $body;
