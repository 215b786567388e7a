# llm_cache_embeddings: two machines share inputs by Redis.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;
use LLMTest::Embeddings;
use LLMTest::Machine;
use LLMTest::Redis;

my $mock = mock();
my $redis = LLMTest::Redis->new;
my ($a, $b) = map { machine($redis->url, http =>
    'llm_cache_zone zone=a:32m;', server => <<'END') } 1, 2;
    location /stale/ {
        llm_cache_valid 1s;
        llm_cache_use_stale http_500;
        proxy_pass http://llm/;
    }
END

settle($_) for $a, $b;

sub call { my ($nginx, $inputs, %option) = @_;
    return $nginx->post(embed_call('openai', $inputs, %option)) }

sub count_of { my ($n) = @_; return $redis->wait_for(sub {
    $redis->command('DBSIZE') == $n }) }

my $first = call($a, ['one', 'two', 'six']);

is($first->cache, 'MISS', 'stored by one');
ok(count_of(3), 'a value for each input');

my $hit = call($b, ['one', 'two', 'six']);

is_hit($hit, $first, 'by the other');
is($b->logged($hit)->{tier}, 'redis', 'from Redis');
is($b->logged(call($b, ['six', 'two']))->{tier}, 'memory', 'then from memory');

my $partial = call($b, ['ten', 'one', 'few']);

is($partial->cache, 'PARTIAL', 'some of it');
ok(count_of(5), 'what is new is stored');
is(call($a, ['few', 'ten', 'two'])->cache, 'HIT', 'and found by the first');

is(call($a, 'alone')->cache, 'MISS', 'one input');
ok(count_of(6), 'one input is stored');
is(call($b, ['alone', 'few'])->cache, 'HIT', 'in a batch elsewhere');
is(call($b, ['alone'])->cache, 'HIT', 'in a list elsewhere');

# deleted there, gone here

my @keys = map { my $r = call($a, [$_]);
    'llm:' . $r->header('X-LLM-Cache-Key') } 'one', 'two';

ok($redis->command('EXISTS', $_), 'the key that is told') for @keys;
$redis->command('DEL', $keys[0]);
pause(0.1);

is(call($a, ['one', 'two'])->cache, 'PARTIAL', 'deleted: it is fetched');
$a->wait_until(sub { $redis->command('EXISTS', $keys[0]) });
is(call($b, ['one', 'two'])->cache, 'HIT', 'and found elsewhere');
is_deeply([embed_asked($mock->last_request)], ['one'], 'deleted: that one');

# what is not an input's

$redis->command('SET', $keys[1], 'nonsense');
pause(0.1);
is(call($b, ['two', 'six'])->cache, 'PARTIAL', 'nonsense is not served');

# many of them: in groups, and all are stored

my @many = map { "many $_" } 1 .. 700;
my $many = call($a, \@many);

ok(count_of(6 + 700), 'many: a value for each');
is_hit(call($b, \@many), $many, 'many');
is(call($b, [@many, 'more'])->cache, 'PARTIAL', 'many, and one more');

# what is too old serves where the upstream fails, from Redis too

my @STALE = (prefix => '/stale');
my $old = call($a, ['stale 1', 'stale 2'], @STALE);

ok(count_of(6 + 700 + 1 + 2), 'stale: stored');
pause(1.1);

my $stale = call($b, ['stale 1', 'stale 2'], @STALE,
    mock => { status => 500 });

is($stale->status, 200, 'stale: an answer');
is($stale->cache, 'STALE', 'stale: as such');
is($stale->body, $old->body, 'stale: the old one');

# vectors of another shape than the upstream's are dropped there, too

call($a, ['shape 1', 'shape 2']);

my $key = 'llm:' . call($a, ['shape 1'])->header('X-LLM-Cache-Key');

ok($redis->wait_for(sub { $redis->command('EXISTS', $key) }),
    'a new model: the old one is there');
$mock->next(map { { embed => { model => 'text-embedding-4' } } } 1, 2);
is(call($a, ['shape 1', 'shape 3'])->json->{model}, 'text-embedding-4',
    'a new model: it is told');
ok($redis->wait_for(sub { !$redis->command('EXISTS', $key) }),
    'a new model: the old one is dropped');

# without Redis it goes on

$redis->stop;
is(call($a, ['one', 'offline'])->status, 200, 'Redis is down');
is(call($a, ['offline', 'offline 2'])->status, 200, 'Redis is down: again');

finish();
