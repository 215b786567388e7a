# Purging a cluster: every node is looked through, keys go one by one.

use FindBin ();
use lib "$FindBin::Bin/lib";
use LLMTest;
use LLMTest::Machine;
use LLMTest::Redis;

my $mock = mock();

my $conf = "cluster-enabled yes\ncluster-node-timeout 1000\n"
    . "cluster-require-full-coverage no\n";
my @nodes = map { LLMTest::Redis->new(conf => $conf) } 1 .. 3;
my @ranges = ([0, 5460], [5461, 10922], [10923, 16383]);

for my $i (0 .. 2) {
    $nodes[$i]->command('CLUSTER', 'SET-CONFIG-EPOCH', $i + 1);
    $nodes[$i]->command('CLUSTER', 'ADDSLOTSRANGE', @{$ranges[$i]});
}

for my $node (@nodes[1, 2]) {
    $nodes[0]->command('CLUSTER', 'MEET', '127.0.0.1', $node->port);
}

for my $node (@nodes) {
    ok($node->wait_for(sub {
        return $node->command('CLUSTER', 'INFO') =~ /cluster_state:ok/
            && @{$node->command('CLUSTER', 'SLOTS')} == 3;
    }), 'a node knows the cluster');
}

my $url = 'redis+cluster://' . join ',', map { '127.0.0.1:' . $_->port }
    @nodes[0, 1];
my $server = 'location /api/ { llm_cache_api write=on; }';
my ($first, $second) = map { machine($url, server => $server, workers => 2,
    param => "timeout=500ms", quick => 1) }
    1, 2;

settle($_) for $first, $second;

sub ask {
    my ($nginx, $number, %option) = @_;

    return $nginx->post(chat_uri(), chat("Question $number", model =>
        $number % 2 ? 'odd' : 'even'), %option);
}

sub has {
    my ($nginx, $number) = @_;

    return ask($nginx, $number, headers => { 'Cache-Control' =>
        'only-if-cached' })->status == 200 ? 1 : 0;
}

sub in_redis {
    my $n = 0;

    $n += $_->command('DBSIZE') for @nodes;

    return $n;
}

sub fill {
    my @answers = map { ask($first, $_) } 1 .. 40;

    $first->wait_until(sub { in_redis() == 40 });
    pause(0.2);
    ask($second, $_) for 1 .. 40;

    return @answers;
}

sub purge {
    my ($what) = @_;

    my $answer = $first->post('/api/purge', $what);

    return [$answer->status, @{$answer->json}{qw(purged redis)}];
}

sub gone {
    my ($name, @numbers) = @_;

    my $left = 'none';

    $second->wait_until(sub {
        $left = join ' ', grep { has($second, $_) } @numbers;
        return $left eq '';
    });

    return is($left, '', $name);
}

my @answers = fill();

ok(!(grep { $_->command('DBSIZE') == 0 } @nodes), 'all nodes have some');
is_deeply(purge({ model => 'odd', dry_run => json_true }),
    [200, 20, { purged => 20, state => 'ok' }], 'a model, dry');
is_deeply(purge({ model => 'odd' }),
    [200, 20, { purged => 20, state => 'ok' }], 'a model');
is(in_redis(), 20, 'the others stay');
gone('gone elsewhere', grep { $_ % 2 } 1 .. 40);
is(scalar(grep { has($second, $_) } map { 2 * $_ } 1 .. 20), 20,
    'another model stays elsewhere');
is_deeply(purge({ key => $answers[1]->header('X-LLM-Cache-Key') }),
    [200, 1, { purged => 1, state => 'ok' }], 'a key');
gone('the key is gone elsewhere', 2);
is_deeply(purge({ all => json_true }),
    [200, 19, { purged => 19, state => 'ok' }], 'everything');
is(in_redis(), 0, 'no node has any');
gone('everything is gone elsewhere', 1 .. 40);

# a node that is gone

fill();
$nodes[2]->signal('STOP');

my $answer = $first->post('/api/purge', { all => json_true });

is($answer->status, 502, 'a node does not answer');
is($answer->json->{purged}, 40, 'memory is purged');
is($answer->json->{redis}{state}, 'unreachable', 'the cluster in part');
$nodes[2]->signal('CONT');
ok($first->wait_until(sub { $first->post('/api/purge', { all => json_true })
    ->status == 200 }), 'and when it is back');
is(in_redis(), 0, 'nothing is left');

finish();
