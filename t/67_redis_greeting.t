# Nothing goes to a server before it has answered the greeting, and nothing of
# the greeting goes into the log.

use FindBin ();
use lib "$FindBin::Bin/lib";
use File::Temp ();
use IO::Select ();
use IO::Socket::INET ();

use LLMTest;
use LLMTest::FakeRedis;
use LLMTest::Machine;
use LLMTest::Redis;

my $mock = mock();

# a cluster of one node that closes the connection of the first look-up, and
# then takes its time to answer AUTH; what came meanwhile is written to a file

my $file = File::Temp->new;
my $closed = 0;

sub answer {
    my ($port, $socket, $rest, $name, @words) = @_;

    return if $name eq 'GETRANGE' && !$closed++;

    if ($name eq 'AUTH' && $closed) {
        my $early = length $rest || IO::Select->new($socket)->can_read(1);

        open my $out, '>>', "$file" or die "$!\n";
        print $out $early ? "early\n" : "late\n";
        close $out;
    }

    return "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n\$9\r\n127.0.0.1\r\n:$port\r\n"
        if $name eq 'CLUSTER';

    return fake_reply($name, @words);
}

my ($pid, $port) = fake_redis(answer => \&answer);
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
