# Sentinels tell which server is the master; a failover is followed.

use FindBin ();
use lib "$FindBin::Bin/lib";
use IO::Select ();
use IO::Socket::INET ();

use LLMTest;
use LLMTest::Machine;
use LLMTest::Redis;

my $mock = mock();

my $master = LLMTest::Redis->new;
my $replica = LLMTest::Redis->new(conf =>
    'replicaof 127.0.0.1 ' . $master->port . "\nrepl-diskless-sync-delay 0");

ok($replica->wait_for(sub {
    return ($replica->info('master_link_status') // '') eq 'up';
}), 'the replica follows the master');

my @sentinels = map { LLMTest::Redis->new(sentinel => 1, conf => join "\n",
    'sentinel monitor answers 127.0.0.1 ' . $master->port . ' 2',
    'sentinel down-after-milliseconds answers 1000',
    'sentinel failover-timeout answers 4000') } 1 .. 3;

for my $sentinel (@sentinels) {
    ok($sentinel->wait_for(sub {
        my %info = @{$sentinel->command('SENTINEL', 'MASTER', 'answers')};

        return $info{'num-other-sentinels'} == 2 && $info{'num-slaves'} == 1;
    }), 'a sentinel knows the others');
}

# the first one named is not there

my $url = 'redis+sentinel://127.0.0.1:' . LLMTest::Redis::free_port() . ','
    . join(',', map { '127.0.0.1:' . $_->port } @sentinels) . '/answers';
my ($a, $b) = map { machine($url) } 1, 2;

settle($_) for $a, $b;

my @request = (chat_uri(), chat('Before the failover'));
my $first = $a->post(@request);

ok(stored($master, 'llm:' . $first->header('X-LLM-Cache-Key')), 'stored');
is_hit($b->post(@request), $first, 'found by the other machine');
ok($replica->wait_for(sub {
    $replica->command('EXISTS', 'llm:' . $first->header('X-LLM-Cache-Key'));
}), 'replicated');


# a sentinel that does not know that master

my $stranger = LLMTest::Redis->new(sentinel => 1, conf =>
    'sentinel monitor others 127.0.0.1 ' . $master->port . ' 1');
my $other = machine('redis+sentinel://127.0.0.1:' . $stranger->port
    . ',127.0.0.1:' . $sentinels[0]->port . '/answers');

settle($other);
is_hit($other->post(@request), $first, 'another sentinel is asked');

# one that takes a replica for the master

sub mistaken {
    my ($port) = @_;

    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        LocalPort => 0, Listen => 16) or die "sentinel: $@\n";
    my $parent = $$;
    my $pid = fork // die "fork: $!\n";

    return ($pid, $listen->sockport) if $pid;

    $SIG{$_} = 'DEFAULT' for qw(TERM INT HUP ALRM);
    $SIG{PIPE} = 'IGNORE';

    my $select = IO::Select->new($listen);

    while (getppid() == $parent) {
        for my $socket ($select->can_read(0.1)) {
            if ($socket == $listen) {
                $select->add($listen->accept // next);

            } elsif (sysread $socket, my $command, 4096) {
                syswrite $socket, "*2\r\n\$9\r\n127.0.0.1\r\n\$"
                    . length($port) . "\r\n$port\r\n";

            } else {
                $select->remove($socket);
                close $socket;
            }
        }
    }

    POSIX::_exit(0);
}

my ($pid, $port) = mistaken($replica->port);
my $misled = machine("redis+sentinel://127.0.0.1:$port,127.0.0.1:"
    . $sentinels[0]->port . '/answers');

settle($misled);
is_hit($misled->post(@request), $first, 'and one that knows the master');
kill 'KILL', $pid;
waitpid $pid, 0;


# the master is killed

$master->stop('KILL');

my $well = 0;

ok($replica->wait_for(sub {
    my $answer = $a->post(chat_uri(), chat('Meanwhile ' . rand));

    $well += $answer->status == 200 && $answer->complete ? 0 : 1;

    return $replica->info('role') eq 'master';
}, 60), 'the replica is the master now');
is($well, 0, 'meanwhile all requests succeed');

settle($_) for $a, $b;

my @after = (chat_uri(), chat('After the failover'));
my $after = $b->post(@after);

ok(stored($replica, 'llm:' . $after->header('X-LLM-Cache-Key')),
    'stored at the new master');
is_hit($a->post(@after), $after, 'and found there');
is(calls(sub { is_hit($a->post(@request), $first, 'what was replicated') }),
    0, 'no call for what was replicated');

finish();
