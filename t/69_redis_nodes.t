# Nodes of a cluster come and go: those that are gone do not use up what a
# worker can know of, and nobody goes on trying them.

use FindBin ();
use lib "$FindBin::Bin/lib";
use File::Temp ();
use IO::Select ();
use IO::Socket::INET ();

use LLMTest;
use LLMTest::Machine;
use LLMTest::Redis;

my $mock = mock();

# the words of a command that is complete, which is taken off

sub words {
    my ($in) = @_;

    my ($n) = $$in =~ /^\*(\d+)\r\n/ or return;
    my $at = length "*$n\r\n";
    my @words;

    while (@words < $n) {
        my ($size) = substr($$in, $at, 16) =~ /^\$(\d+)\r\n/ or return;

        $at += length "\$$size\r\n";
        return if length $$in < $at + $size + 2;
        push @words, substr $$in, $at, $size;
        $at += $size + 2;
    }

    substr $$in, 0, $at, '';

    return @words;
}

# a node at all addresses of this machine.  While the file is empty it sends
# each look-up to an address that nobody has heard of; then all but the address
# in the file are gone, and 127.0.0.1 tells of this one only

sub node {
    my ($file) = @_;

    my $listen = IO::Socket::INET->new(LocalAddr => '0.0.0.0',
        LocalPort => 0, Listen => 1024, ReuseAddr => 1) or die "node: $@\n";
    my $port = $listen->sockport;
    my $parent = $$;
    my $pid = fork // die "fork: $!\n";

    return ($pid, $port) if $pid;

    $SIG{$_} = 'DEFAULT' for qw(TERM INT HUP ALRM);
    $SIG{PIPE} = 'IGNORE';

    my $select = IO::Select->new($listen);
    my $serial = 0;
    my %in;

    my %reply = (CLIENT => ":7\r\n", 'CLIENT TRACKING' => "+OK\r\n",
        SUBSCRIBE => "*3\r\n\$9\r\nsubscribe\r\n\$1\r\nx\r\n:1\r\n",
        PING => "+PONG\r\n", PTTL => ":-2\r\n", SET => "+OK\r\n",
        GETRANGE => "\$0\r\n\r\n");

    while (getppid() == $parent) {
        my @ready = $select->can_read(0.1);
        my $home = LLMTest::Nginx::slurp($file);

        for my $socket ($select->handles) {
            next if $socket == $listen || $home eq ''
                || $socket->sockhost =~ /^(?:127\.0\.0\.1|\Q$home\E)$/;
            $select->remove($socket);
            close $socket;
        }

        for my $socket (@ready) {

            next if !defined fileno $socket;

            if ($socket == $listen) {
                my $new = $listen->accept or next;

                $in{$new} = '';
                $select->add($new);
                next;
            }

            if (!sysread $socket, $in{$socket}, 65536, length $in{$socket}) {
                $select->remove($socket);
                close $socket;
                next;
            }

            while (my @words = words(\$in{$socket})) {
                my $name = uc $words[0];
                my $text = $reply{"$name " . uc($words[1] // '')}
                    // $reply{$name} // "-ERR unknown\r\n";
                my $host = $home eq '' ? '127.0.0.1' : $home;

                if ($name eq 'CLUSTER') {
                    $text = "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n\$"
                        . length($host) . "\r\n$host\r\n:$port\r\n";

                } elsif ($name =~ /^(?:GETRANGE|PTTL)$/
                    && ($home eq '' || $socket->sockhost ne $home))
                {
                    $serial++;
                    $host = sprintf '127.1.%d.%d', $serial / 250,
                        $serial % 250 + 1 if $home eq '';
                    $text = "-MOVED 0 $host:$port\r\n";
                }

                syswrite $socket, $text;
            }
        }
    }

    POSIX::_exit(0);
}

my $file = File::Temp->new;
my ($pid, $port) = node("$file");
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
