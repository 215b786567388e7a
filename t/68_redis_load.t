# Redis under load: slots that move, servers that are killed, stopped or cut
# off again and again, and how many connections there are.

use FindBin ();
use lib "$FindBin::Bin/lib";
use LLMTest;
use LLMTest::Machine;
use LLMTest::Redis;

my $mock = mock();

# what the processes that asked meanwhile have seen, when Redis has been of use

sub check {
    my ($name, $machines, @load) = @_;

    my %sum;

    for my $machine (@$machines) {
        my $before = counter($machine, 'hits');

        ok($machine->wait_until(sub {
            return counter($machine, 'hits') >= $before + 10;
        }), "$name: hits in Redis");
    }

    for my $load (@load) {
        my $report = $load->();

        is(join(', ', @{$report->{$_}}), '', "$name: none $_")
            for qw(failed stuck wrong);
        $sum{$_} += $report->{$_} for qw(hit miss);
    }

    cmp_ok($sum{$_}, '>', 5, "$name: $_ among them") for qw(hit miss);

    return;
}

# memory is small, so that Redis is asked all the time

my @small = (workers => 2,
    http => 'llm_cache_zone zone=small:512k evict=lru;');

# one server and two machines: faults in a loop

{
    my $redis = LLMTest::Redis->new;
    my @machines = map { machine($redis->url, quick => 1, @small) } 1, 2;

    settle($_) for @machines;

    my @load = map { load($machines[$_ % 2], $_) } 1 .. 4;

    for my $round (1 .. 12) {
        pause(0.1 + rand 0.1);

        if ($round % 4 == 0) {
            $redis->stop('KILL');
            pause(rand 0.3);
            ok($redis->start, "round $round: started again");

        } elsif ($round % 4 == 1) {
            $redis->signal('STOP');
            pause(0.1 + rand 0.2);
            $redis->signal('CONT');

        } elsif ($round % 4 == 2) {
            $redis->command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME',
                'yes');

        } else {
            $redis->command('FLUSHALL');
        }
    }

    check('faults', \@machines, @load);
    settle($_) for @machines;

    # three connections for each worker, and that of this test

    my $before = $redis->info('total_connections_received');

    @load = map { load($machines[$_ % 2], "again $_") } 1 .. 4;
    check('steady', \@machines, @load);

    cmp_ok($redis->info('connected_clients'), '<=', 2 * 2 * 3 + 2,
        'steady: so many connections');
    cmp_ok($redis->info('total_connections_received') - $before, '<=', 14,
        'steady: none is made for a request');
}

# a cluster whose slots wander from node to node

{
    my $conf = "cluster-enabled yes\ncluster-node-timeout 2000\n"
        . "cluster-require-full-coverage no\n";
    my @nodes = map { LLMTest::Redis->new(conf => $conf) } 1 .. 3;
    my @ids = map { $_->command('CLUSTER', 'MYID') } @nodes;
    my @ranges = ([0, 5460], [5461, 10922], [10923, 16383]);

    for my $i (0 .. 2) {
        $nodes[$i]->command('CLUSTER', 'SET-CONFIG-EPOCH', $i + 1);
        $nodes[$i]->command('CLUSTER', 'ADDSLOTSRANGE', @{$ranges[$i]});
    }

    $nodes[0]->command('CLUSTER', 'MEET', '127.0.0.1', $_->port)
        for @nodes[1, 2];

    for my $node (@nodes) {
        ok($node->wait_for(sub {
            return $node->command('CLUSTER', 'INFO') =~ /cluster_state:ok/
                && @{$node->command('CLUSTER', 'SLOTS')} == 3;
        }), 'a node knows the cluster');
    }

    my @machines = map { machine('redis+cluster://127.0.0.1:'
        . $nodes[0]->port, @small) } 1, 2;

    settle($_) for @machines;

    my @load = map { load($machines[$_ % 2], "cluster $_") } 1 .. 4;
    my $moved = 0;

    while ($moved < 12) {
        my @keys = map { $_->keys } @nodes or next;
        my $key = $keys[rand @keys];
        my $slot = $nodes[0]->command('CLUSTER', 'KEYSLOT', $key);
        my ($from) = grep { my $node = $_;
            grep { $_ eq $key } $nodes[$node]->keys } 0 .. 2;

        next if !defined $from;

        my $to = ($from + 1) % 3;

        $nodes[$to]->command('CLUSTER', 'SETSLOT', $slot, 'IMPORTING',
            $ids[$from]);
        $nodes[$from]->command('CLUSTER', 'SETSLOT', $slot, 'MIGRATING',
            $ids[$to]);

        # the load writes to the slot meanwhile: until nothing is left

        while (my @left = @{$nodes[$from]->command('CLUSTER',
            'GETKEYSINSLOT', $slot, 100)}) {
            $nodes[$from]->command('MIGRATE', '127.0.0.1', $nodes[$to]->port,
                $_, 0, 1000, 'REPLACE') for @left;
        }

        $_->command('CLUSTER', 'SETSLOT', $slot, 'NODE', $ids[$to])
            for @nodes[$to, $from, 3 - $to - $from];
        $moved++;
    }

    is($moved, 12, 'slots: so many have moved');
    check('slots', \@machines, @load);
}

finish();
