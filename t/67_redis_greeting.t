# Nothing goes to a server before it has answered the greeting, and nothing of
# the greeting goes into the log.

use FindBin ();
use lib "$FindBin::Bin/lib";
use File::Temp ();
use IO::Select ();
use IO::Socket::INET ();

use LLMTest;
use LLMTest::Machine;
use LLMTest::Redis;

my $mock = mock();

# a cluster of one node that closes the connection of the first look-up, and
# then takes its time to answer AUTH; what came meanwhile is written to a file

sub node {
    my ($file) = @_;

    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        LocalPort => 0, Listen => 16, ReuseAddr => 1) or die "node: $@\n";
    my $port = $listen->sockport;
    my $parent = $$;
    my $pid = fork // die "fork: $!\n";

    return ($pid, $port) if $pid;

    $SIG{$_} = 'DEFAULT' for qw(TERM INT HUP ALRM);
    $SIG{PIPE} = 'IGNORE';

    my $select = IO::Select->new($listen);
    my %in;
    my $closed = 0;

    my %reply = (
        AUTH => "+OK\r\n",
        CLUSTER => "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n\$9\r\n127.0.0.1\r\n"
            . ":$port\r\n",
        CLIENT => ":7\r\n",
        'CLIENT TRACKING' => "+OK\r\n",
        SUBSCRIBE => "*3\r\n\$9\r\nsubscribe\r\n\$1\r\nx\r\n:1\r\n",
        PING => "+PONG\r\n", PTTL => ":-2\r\n",
        GETRANGE => "\$0\r\n\r\n", SET => "+OK\r\n");

    while (getppid() == $parent) {
        for my $socket ($select->can_read(0.1)) {

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

            while ($in{$socket} =~ s/^\*(\d+)\r\n((?:\$\d+\r\n[^\r]*\r\n)+?)
                (?=\*|\z)//x)
            {
                my @words = $2 =~ /\$\d+\r\n([^\r]*)\r\n/g;
                my $name = uc $words[0];

                if ($name eq 'GETRANGE' && !$closed++) {
                    $select->remove($socket);
                    close $socket;
                    last;
                }

                if ($name eq 'AUTH' && $closed) {
                    my $early = length $in{$socket}
                        || IO::Select->new($socket)->can_read(1);

                    open my $out, '>>', $file or die "$!\n";
                    print $out $early ? "early\n" : "late\n";
                    close $out;
                }

                syswrite $socket, $reply{"$name " . uc($words[1] // '')}
                    // $reply{$name} // "-ERR unknown\r\n";
            }
        }
    }

    POSIX::_exit(0);
}

my $file = File::Temp->new;
my ($pid, $port) = node("$file");
my $nginx = machine("redis+cluster://:secret\@127.0.0.1:$port");

settle($nginx);
is_miss($nginx->post(chat_uri(), chat('The connection is closed')), 'closed');
is_miss($nginx->post(chat_uri(), chat('It is made anew')), 'greeted');

open my $in, '<', "$file" or die "$!\n";
my @seen = <$in>;

cmp_ok(scalar @seen, '>', 0, 'the greeting took its time');
is(join('', grep { $_ ne "late\n" } @seen), '', 'and nothing came before');
is(counter($nginx, 'failures'), 1, 'no other connection has failed');
kill 'KILL', $pid;
waitpid $pid, 0;


# a server that does not know AUTH names the words that came with it

my $old = LLMTest::Redis->new(conf => 'rename-command AUTH ""');
my $open = machine('redis://:hunter2secret@127.0.0.1:' . $old->port);

is_miss($open->post(chat_uri(), chat('No AUTH')), 'no AUTH');
ok($open->wait_until(sub { $open->error_log =~ /refused the greeting/ }),
    'the log says that it is refused');
unlike($open->error_log, qr/hunter2/, 'and no password');


# a server that sends everybody away says why, before it is asked

my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0,
    Listen => 16) or die "server: $@\n";
my $owner = $$;

$pid = fork // die "fork: $!\n";

if ($pid == 0) {
    $SIG{$_} = 'DEFAULT' for qw(TERM INT HUP ALRM);

    while (getppid() == $owner) {
        IO::Select->new($listen)->can_read(0.1) or next;

        my $socket = $listen->accept or next;

        syswrite $socket, "-DENIED Redis is running in protected mode\r\n";
        shutdown $socket, 1;
        sysread $socket, my $rest, 4096;
    }

    POSIX::_exit(0);
}

my $denied = machine('redis://127.0.0.1:' . $listen->sockport);

close $listen;

ok($denied->wait_until(sub {
    $denied->post(chat_uri(), chat('Denied ' . rand));
    return state_of($denied)->{state} eq 'open';
}), 'it is left alone');
like($denied->error_log, qr/says "DENIED Redis is running in protected mode"/,
    'the log says why');
unlike($denied->error_log, qr/does not speak as Redis does/,
    'and nothing else');
kill 'KILL', $pid;
waitpid $pid, 0;

finish();
