# A cluster of three nodes: its slots, a slot that moves under load, a node
# that fails.

use FindBin ();
use lib "$FindBin::Bin/lib";
use LLMTest;
use LLMTest::Machine;
use LLMTest::Redis;

my $mock = mock();

# three nodes, the slots of which are dealt out

my $conf = "cluster-enabled yes\ncluster-node-timeout 1000\n"
    . "cluster-require-full-coverage no\n";
my @nodes = map { LLMTest::Redis->new(conf => $conf) } 1 .. 3;
my @ranges = ([0, 5460], [5461, 10922], [10923, 16383]);
my @ids = map { $_->command('CLUSTER', 'MYID') } @nodes;

for my $i (0 .. 2) {
    $nodes[$i]->command('CLUSTER', 'SET-CONFIG-EPOCH', $i + 1);
    $nodes[$i]->command('CLUSTER', 'ADDSLOTSRANGE', @{$ranges[$i]});
}

for my $node (@nodes[1, 2]) {
    $nodes[0]->command('CLUSTER', 'MEET', '127.0.0.1', $node->port);
}

for my $node (@nodes) {
    ok($node->wait_for(sub {
        my $info = $node->command('CLUSTER', 'INFO');

        return $info =~ /cluster_state:ok/
            && $info =~ /cluster_known_nodes:3/
            && @{$node->command('CLUSTER', 'SLOTS')} == 3;
    }), 'a node knows the cluster');
}

my $url = 'redis+cluster://' . join ',', map { '127.0.0.1:' . $_->port }
    @nodes[0, 1];
my ($a, $b) = map { machine($url) } 1, 2;

settle($_) for $a, $b;

sub holder {
    my ($key) = @_;

    my $slot = $nodes[0]->command('CLUSTER', 'KEYSLOT', $key);

    for my $i (0 .. 2) {
        return ($i, $slot) if grep { $slot >= $_->[0] && $slot <= $_->[1]
            && $_->[2][1] == $nodes[$i]->port }
            @{$nodes[$i]->command('CLUSTER', 'SLOTS')};
    }

    return (undef, $slot);
}


# answers are spread over all nodes, and found by the other machine

my %count;

my @questions = map { [chat_uri(), chat("Question $_")] } 1 .. 24;
my @answers = map { $a->post(@$_) } @questions;

ok($a->wait_until(sub { counter($a, 'stores') == 24 }), 'all are stored');
pause(0.2);

my $hits = 0;

is(calls(sub {
    for my $i (0 .. $#questions) {
        my $answer = $b->post(@{$questions[$i]});

        $hits++ if ($answer->cache // '') eq 'HIT'
            && $answer->body eq $answers[$i]->body;
    }
}), 0, 'no calls');
is($hits, 24, 'all are found by the other machine');
is(counter($b, 'hits'), 24, 'in Redis');

$count{(holder('llm:' . $_->header('X-LLM-Cache-Key')))[0]}++ for @answers;
is(scalar keys %count, 3, 'on three nodes');


# an overwrite on any node reaches the other machine

for my $i (0 .. 5) {
    my $old = $answers[$i];

    pause(1.1) if $i == 0;

    my $new = $b->post(@{$questions[$i]},
        headers => { 'Cache-Control' => 'no-cache' });

    pause(0.3);
    is_hit($a->post(@{$questions[$i]}), $new, "overwritten $i");
}


# a slot moves while it is asked for: ASK, then MOVED

my $key = 'llm:' . $answers[10]->header('X-LLM-Cache-Key');
my ($from, $slot) = holder($key);
my $to = ($from + 1) % 3;

my ($c, $d) = map { machine($url) } 1, 2;

settle($_) for $c, $d;

$nodes[$to]->command('CLUSTER', 'SETSLOT', $slot, 'IMPORTING', $ids[$from]);
$nodes[$from]->command('CLUSTER', 'SETSLOT', $slot, 'MIGRATING', $ids[$to]);
$nodes[$from]->command('MIGRATE', '127.0.0.1', $nodes[$to]->port, $key, 0,
    1000);

is(calls(sub { is_hit($c->post(@{$questions[10]}), $answers[10], 'ASK') }), 0,
    'ASK: no call');

for my $node (@nodes[$to, $from, 3 - $to - $from]) {
    $node->command('CLUSTER', 'SETSLOT', $slot, 'NODE', $ids[$to]);
}

is(calls(sub { is_hit($d->post(@{$questions[10]}), $answers[10], 'MOVED') }),
    0, 'MOVED: no call');
is((holder($key))[0], $to, 'the slot has moved');

# what this machine has in memory is as good as before

is(calls(sub { is_hit($a->post(@{$questions[10]}), $answers[10], 'moved') }),
    0, 'moved: no call');


# what nobody waits for is redirected too: a lease in a slot that moves

my $leasing = machine($url, param => 'lease=10m');

settle($leasing);

my @leased = (chat_uri(), chat('A lease that moves'));
my $lease = 'llm:' . $leasing->post(@leased,
    headers => { 'Cache-Control' => 'no-store' })
    ->header('X-LLM-Cache-Key') . ':lease';

($from, $slot) = holder($lease);
$to = ($from + 1) % 3;
$nodes[$to]->command('CLUSTER', 'SETSLOT', $slot, 'IMPORTING', $ids[$from]);
$nodes[$from]->command('CLUSTER', 'SETSLOT', $slot, 'MIGRATING', $ids[$to]);

sub lease_is_there {
    my $socket = $nodes[$to]->connect;

    LLMTest::Redis::talk($socket, 'ASKING');

    return LLMTest::Redis::talk($socket, 'EXISTS', $lease);
}

$mock->next({ gate => 'lease', status => 500 });

my $client = $leasing->client;

$client->send($leasing->request_text(@leased));
ok($mock->wait_for(sub { $mock->waiting('lease') }), 'a call is under way');
is(lease_is_there(), 1, 'its lease is where the slot goes');
$mock->release('lease');
is($client->response->status, 500, 'the call fails');
ok($nodes[$to]->wait_for(sub { !lease_is_there() }),
    'the lease is given back');
$_->command('CLUSTER', 'SETSLOT', $slot, 'STABLE') for @nodes[$to, $from];


# a worker ends while answers and leases are on their way to all nodes

my @clients = map { my $c = $leasing->client;
    $c->send($leasing->request_text(chat_uri(), chat("Late $_"),
        mock => { gate => 'late' }));
    $c } 1 .. 12;

ok($mock->wait_for(sub { $mock->waiting('late') == 12 }), 'so many calls');
$_->signal('STOP') for @nodes;
$mock->release('late');
is(scalar(grep { $_->response->status == 200 } @clients), 12, 'all answers');
ok($leasing->quit('TERM'), 'nginx ends');
$_->signal('CONT') for @nodes;


# a node fails: its answers are fetched, the others found; then it is back

my $failed = (holder('llm:' . $answers[20]->header('X-LLM-Cache-Key')))[0];

$nodes[$failed]->stop('KILL');

my $well = grep { $_->status == 200 && $_->complete }
    map { $a->post(chat_uri(), chat("Further question $_")) } 1 .. 20;

is($well, 20, 'a node is down: all requests succeed');
ok($nodes[$failed]->start, 'the node is there again');
ok($a->wait_until(sub {
    my $answer = $a->post(chat_uri(), chat('Back ' . rand));

    return state_of($a)->{state} eq 'tracking';
}), 'and used again');

finish();
