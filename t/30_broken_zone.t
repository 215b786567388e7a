# A worker that dies inside the zone's lock.  The trap kills it at the first
# instruction of nginx's allocator, which the module calls under the lock.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use Digest::SHA qw(sha256_hex);
use Test::More;

use LLMTest;
use LLMTest::Trap;

my $SYMBOL = 'ngx_slab_alloc_locked';
my $trap = LLMTest::Trap->new // plan skip_all => 'no C compiler';

mock();

# nginx itself tells of the death and of the lock that it released

my $nginx = nginx(workers => 2, location => 'llm_cache on;',
    http => 'llm_cache_zone zone=one:16m max_entry=4m;',
    listen => 'sndbuf=16k',
    allow => qr/exited on signal 9|memory zone "one" was locked by/);

my $serial = 0;

sub fresh { return $nginx->post(chat_uri(), chat('fresh ' . ++$serial)) }

# lets a worker die inside the lock, another one than that; returns how many
# requests were lost, or nothing where processes cannot be traced

sub spring {
    my ($spared) = @_;

    my @victims = grep { $_ != ($spared // 0) } $nginx->worker_pids;
    my $victim = $victims[rand @victims];
    my $output = $trap->arm($victim, $SYMBOL) // return;
    my $lost = 0;

    for (1 .. 500) {
        $lost++ if (fresh()->status // 0) != 200;
        last if !grep { $_ == $victim } $nginx->worker_pids;
    }

    is(scalar <$output>, "killed\n", 'a worker died inside the lock');
    ok($nginx->wait_until(sub { $nginx->worker_pids == 2 }),
        'another worker takes its place');

    return $lost;
}

sub warnings_about {
    my ($text) = @_;

    my @lines = grep { /\Q$text\E/ } split /\n/, $nginx->error_log;

    return scalar @lines;
}

my $kept = $nginx->post(chat_uri(), chat('kept'));

is_hit($nginx->post(chat_uri(), chat('kept')), $kept, 'before');

my $lost = spring();

if (!defined $lost) {
    diag('processes cannot be traced here');
    finish();
    exit 0;
}

# the zone starts empty, with the next request

ok($lost <= 1, 'no request is lost but the one that died') or diag($lost);

is_cached($nginx, 'after', chat_uri(), chat('after'));
is_miss($nginx->post(chat_uri(), chat('kept')), 'what was cached before');

is(warnings_about('died while it changed the index'), 1,
    'the log tells what happened');
is(warnings_about('starts empty'), 1, 'the log tells what it means');

# while somebody still reads from the zone its memory is not used again: the
# others are served without the cache

sub slow_reader {
    my $client = $nginx->client;

    $client->send($nginx->request_text(chat_uri(), chat('long')));
    $client->received(qr/\r\n\r\n/);

    return $client;
}

my ($long, $reader);

sub long {
    return $nginx->post(chat_uri(), chat('long'),
        mock => { size => 3 << 20 });
}

for (1 .. 20) {
    $long = long();
    $reader = slow_reader();

    die "the long answer is not cached\n"
        if $reader->buffer !~ /^X-LLM-Cache: HIT/m;

    spring();

    # it may have been that reader's own worker

    fresh();
    $serial--;
    last if fresh()->cache ne 'HIT';
}

is_not_cached($nginx, 'a request meanwhile', chat_uri(), chat('meanwhile'));

is(sha256_hex($reader->response->body), sha256_hex($long->body),
    'the slow reader has all bytes of the answer');

ok($nginx->wait_until(sub { fresh(); $serial--; fresh()->cache eq 'HIT' }),
    'the zone can be used again');
is_cached($nginx, 'after the reader', chat_uri(), chat('after'));

# a worker that dies while it empties the zone, wherever it has got to: the
# next one begins anew

$nginx->quit;

for my $step (1 .. 3) {
    $nginx = nginx(workers => 2, location => 'llm_cache on;',
        http => 'llm_cache_zone zone=one:16m max_entry=4m;',
        listen => 'sndbuf=16k',
        allow => qr/exited on signal 9|memory zone "one" was locked by/);

    long();

    # while somebody reads, the zone is not emptied

    my $reading = slow_reader();
    my ($busy) = grep { $nginx->has_client($_, $reading) } $nginx->worker_pids;

    spring($busy);

    my ($next) = grep { $_ != $busy } $nginx->worker_pids;

    # then this one does it, as the other one is stopped

    $reading->response;
    pause(0.2);
    kill 'STOP', $busy;

    my $output = $trap->arm($next, $SYMBOL, $step);

    fresh();
    is(scalar <$output>, "killed\n", "step $step: a worker died");
    $nginx->wait_until(sub { $nginx->worker_pids == 2
        && !grep { $_ == $next } $nginx->worker_pids });
    is_cached($nginx, "step $step: after that", chat_uri(), chat('after'));
    kill 'CONT', $busy;
    is_cached($nginx, "step $step: the other one", chat_uri(),
        chat("other $_")) for 1 .. 4;
    $nginx->quit;
}

finish();
