# Connections that take their time: whatever is too late for what it was made
# for, Redis is of use again when it is well.

use FindBin ();
use lib "$FindBin::Bin/lib";
use LLMTest;
use LLMTest::Machine;
use LLMTest::Redis;
use LLMTest::RedisProxy;

my $mock = mock();
my $redis = LLMTest::Redis->new;
my $master = LLMTest::RedisProxy->new($redis->port);
my $watcher = LLMTest::Redis->new(sentinel => 1, conf => join "\n",
    'sentinel monitor answers 127.0.0.1 ' . $master->port . ' 1',
    'sentinel down-after-milliseconds answers 60000');
my $sentinel = LLMTest::RedisProxy->new($watcher->port);
my $nginx = machine('redis+sentinel://127.0.0.1:' . $sentinel->port
    . '/answers', quick => 1, param => 'connect_timeout=1s timeout=100ms');

settle($nginx);
$redis->stop('KILL');

ok($nginx->wait_until(sub {
    $nginx->post(chat_uri(), chat('Question ' . rand));
    return state_of($nginx)->{state} eq 'open';
}), 'the breaker is open');

# the sentinel and the master are slow, each of them fast enough: when the
# connection is there, nobody waits for the probe's answer any more

$_->mode('delay 0.7') for $master, $sentinel;
ok($redis->start, 'Redis is there again');
ok($redis->wait_for(sub { $redis->calls('role') }), 'it is greeted');
pause(1.5);
$_->mode('pass') for $master, $sentinel;
settle($nginx);

my @request = (chat_uri(), chat('After that'));
my $first = $nginx->post(@request);

ok(stored($redis, 'llm:' . $first->header('X-LLM-Cache-Key')), 'stored');
is_hit($nginx->post(@request), $first, 'and served');

finish();
