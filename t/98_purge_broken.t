# A purge while nobody can use the zone, as a worker died inside its lock and
# another one still reads: what was asked for before it is not stored later.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use Test::More;

use LLMTest;
use LLMTest::Trap;

my $trap = LLMTest::Trap->new // plan skip_all => 'no C compiler';
my $mock = mock();

my $nginx = nginx(workers => 3,
    location => 'llm_cache on; llm_cache_lock off;',
    server => 'location /api/ { llm_cache_api write=on; }',
    http => 'llm_cache_zone zone=one:16m max_entry=4m;',
    listen => 'sndbuf=16k',
    allow => qr/exited on signal 9|memory zone "one" was locked by/);

my $serial = 0;

sub fresh { return $nginx->post(chat_uri(), chat('fresh ' . ++$serial)) }

$nginx->post(chat_uri(), chat('long'), mock => { size => 3 << 20 });

my $reader = $nginx->client;

$reader->send($nginx->request_text(chat_uri(), chat('long')));
$reader->received(qr/\r\n\r\n/);

my $late = $nginx->client;

$late->send($nginx->request_text(chat_uri(), chat('late'), id => 'late',
    mock => { gate => 'late', text => 'of before the purge' }));
$mock->wait_for(sub { $mock->waiting('late') });

my ($victim) = grep { !$nginx->has_client($_, $reader)
    && !$nginx->has_client($_, $late) } $nginx->worker_pids;
my $output = $trap->arm($victim, 'ngx_slab_alloc_locked');

if (!defined $output) {
    $mock->release('late');
    diag('processes cannot be traced here');
    finish();
    exit 0;
}

for (1 .. 500) {
    fresh();
    last if !grep { $_ == $victim } $nginx->worker_pids;
}

is(scalar <$output>, "killed\n", 'a worker died inside the lock');
$nginx->wait_until(sub { $nginx->worker_pids == 3 });

fresh();
$serial--;
isnt(fresh()->cache, 'HIT', 'nobody can use the zone');
is($nginx->post('/api/purge', { all => json_true })->status, 200, 'a purge');
is($reader->response->status, 200, 'the reader has its answer');
ok($nginx->wait_until(sub { fresh(); $serial--; fresh()->cache eq 'HIT' }),
    'the zone can be used again');
is_cached($nginx, 'after that', chat_uri(), chat('after'));

$mock->release('late');

my $answer = $late->response;

$answer->{id} = 'late';
is($answer->status, 200, 'what was asked for before');
is($nginx->logged($answer)->{reason}, 'purged', 'why it is not stored');
is_miss($nginx->post(chat_uri(), chat('late')), 'it is not');

finish();
