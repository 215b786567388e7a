# One call for a crowd: Redis is asked once, and with a lease one machine of
# several calls the upstream.

use FindBin ();
use lib "$FindBin::Bin/lib";
use LLMTest;
use LLMTest::Machine;
use LLMTest::Redis;

my $mock = mock();
my $redis = LLMTest::Redis->new;

# many clients of one machine at once

sub crowd {
    my ($nginx, $count, @request) = @_;

    my @clients = map { my $client = $nginx->client;
        $client->send($nginx->request_text(@request));
        $client } 1 .. $count;

    return map { $_->response } @clients;
}

my ($a, $b) = map { machine($redis->url, workers => 2) } 1, 2;

settle($_) for $a, $b;

my @hit = (chat_uri(), chat('A crowd'));
my $first = $a->post(@hit);

ok(stored($redis, 'llm:' . $first->header('X-LLM-Cache-Key')), 'stored');

my $asked = $redis->calls('pttl');
my @answers = crowd($b, 40, @hit);

is(scalar(grep { $_->status == 200 && $_->body eq $first->body } @answers),
    40, 'all have the answer');
cmp_ok($redis->calls('pttl') - $asked, '<=', 2, 'Redis was hardly asked');
is(counter($b, 'hits'), $redis->calls('pttl') - $asked, 'as is counted');

# a crowd for what nobody has: one look-up and one call

my @miss = (chat_uri(), chat('Another crowd'));

$asked = $redis->calls('pttl');
is(calls(sub { @answers = crowd($b, 40, @miss) }), 1, 'one call');
is(scalar(grep { $_->status == 200 && $_->complete } @answers), 40,
    'all have an answer');
is($redis->calls('pttl') - $asked, 1, 'and one look-up');


# clients that leave while Redis is asked

my $connections = counter($b, 'connections');

$redis->signal('STOP');

my @gone = map { my $client = $b->client;
    $client->send($b->request_text(chat_uri(), chat("Gone $_")));
    $client } 1 .. 20;

$_->close for @gone;
$redis->signal('CONT');
settle($b);
is($b->post(chat_uri(), chat('Still here'))->status, 200, 'nginx goes on');


# leases: two machines, each with a client, one call

my ($c, $d) = map { machine($redis->url, param => 'lease=20s') } 1, 2;

settle($_) for $c, $d;

my @leased = (chat_uri(), chat('A lease'));

$mock->next({ gate => 'lease' });

my $one = $c->client;

$one->send($c->request_text(@leased));
ok($mock->wait_for(sub { $mock->waiting('lease') }), 'a call is under way');

my $two = $d->client;

$two->send($d->request_text(@leased));
pause(0.5);
is(calls(sub {
    $mock->release('lease');

    my ($x, $y) = ($one->response, $two->response);

    is_miss($x, 'the one with the lease');
    is_hit($y, $x, 'the one that waited');
}), 0, 'no further call');

# what is stored ends the lease, so that nobody waits who has no use for it

my @brief = (chat_uri(), chat('A long lease'));
my ($e, $f) = map { machine($redis->url, param => 'lease=10m') } 1, 2;

settle($_) for $e, $f;

my $brief = $e->post(@brief);
my $lease = 'llm:' . $brief->header('X-LLM-Cache-Key') . ':lease';

is_miss($brief, 'a long lease');
ok($redis->wait_for(sub { !$redis->command('EXISTS', $lease) }),
    'it ends with the answer');
$redis->command('DEL', 'llm:' . $brief->header('X-LLM-Cache-Key'));
pause(0.1);
is_miss($f->post(@brief), 'deleted: nobody is waited for');

# nor where the answer cannot be stored in Redis

$redis->command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
$mock->next({ gate => 'memory' });
$one = $e->client;
$one->send($e->request_text(chat_uri(), chat('No memory')));
ok($mock->wait_for(sub { $mock->waiting('memory') }), 'a call is under way');
$redis->command('CONFIG', 'SET', 'maxmemory', '1');
$mock->release('memory');
$brief = $one->response;
$lease = 'llm:' . $brief->header('X-LLM-Cache-Key') . ':lease';
ok($e->wait_until(sub { counter($e, 'store_errors') }), 'it is not stored');
ok($redis->wait_for(sub { !$redis->command('EXISTS', $lease) }),
    'the lease ends all the same');
$redis->command('CONFIG', 'SET', 'maxmemory', '0');

# a failure gives the lease back

my @failing = (chat_uri(), chat('A failure'));

$mock->next({ gate => 'failure', status => 500 });
$one = $c->client;
$one->send($c->request_text(@failing));
ok($mock->wait_for(sub { $mock->waiting('failure') }), 'a call is under way');
$two = $d->client;
$two->send($d->request_text(@failing));
pause(0.3);
$mock->release('failure');
is($one->response->status, 500, 'the one with the lease fails');
is_miss($two->response, 'the other one calls');

finish();
