# Nodes of a cluster come and go: those that are gone do not use up what a
# worker can know of, and nobody goes on trying them.

use FindBin ();
use lib "$FindBin::Bin/lib";
use File::Temp ();

use LLMTest;
use LLMTest::FakeRedis;
use LLMTest::Machine;
use LLMTest::Redis;

my $mock = mock();

# a node at all addresses of this machine.  While the file is empty it sends
# each look-up to an address that nobody has heard of; then all but the address
# in the file are gone, and 127.0.0.1 tells of this one only

my $file = File::Temp->new;
my $home = '';
my $serial = 0;

sub before {
    $home = LLMTest::Nginx::slurp("$file");

    return grep { $home ne ''
        && $_->sockhost !~ /^(?:127\.0\.0\.1|\Q$home\E)$/ } @_;
}

sub answer {
    my ($port, $socket, $rest, $name, @words) = @_;

    my $host = $home eq '' ? '127.0.0.1' : $home;

    return "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n\$" . length($host)
        . "\r\n$host\r\n:$port\r\n" if $name eq 'CLUSTER';

    return fake_reply($name, @words) if $name !~ /^(?:GETRANGE|PTTL)$/
        || ($home ne '' && $socket->sockhost eq $home);

    $serial++;
    $host = sprintf '127.1.%d.%d', $serial / 250, $serial % 250 + 1
        if $home eq '';

    return "-MOVED 0 $host:$port\r\n";
}

my ($pid, $port) = fake_redis(host => '0.0.0.0', before => \&before,
    answer => \&answer);
my $nginx = machine("redis+cluster://127.0.0.1:$port");

settle($nginx);

my $well = grep { $_->status == 200 && $_->complete }
    map { $nginx->post(chat_uri(), chat("Question $_")) } 1 .. 48;

is($well, 48, 'moved ever on: all requests succeed');
cmp_ok(counter($nginx, 'connections'), '>', 200, 'to so many nodes');

print $file '127.9.9.9';
$file->flush;

my $misses = counter($nginx, 'misses');

ok($nginx->wait_until(sub {
    $nginx->post(chat_uri(), chat('Where the slots are ' . rand));
    return counter($nginx, 'misses') > $misses;
}), 'the node that is left is asked');
settle($nginx);

finish();
kill 'KILL', $pid;
waitpid $pid, 0;
