# llm_cache_embeddings: simultaneous calls, stale vectors, workers that die.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;
use LLMTest::Embeddings;

my $mock = mock();

my $nginx = nginx(workers => 2, allow => qr/exited on signal 9/,
    http => 'llm_cache_zone zone=a:16m;'
    . 'llm_cache_zone zone=b:16m max_entry=2k;', server => <<'END');
    llm_cache on zone=a;
    location /alone/ {
        llm_cache_lock off;
        proxy_pass http://llm/;
    }
    location /short/ {
        llm_cache on zone=b;
        proxy_pass http://llm/;
    }
    location /stale/ {
        llm_cache_valid $http_x_valid;
        llm_cache_use_stale error timeout http_500 http_429;
        proxy_pass http://llm/;
    }
    location /updating/ {
        llm_cache_valid $http_x_valid;
        llm_cache_use_stale updating http_500;
        llm_cache_background_update on;
        proxy_pass http://llm/;
    }
END

my $serial = 0;
my @BRIEF = (headers => { 'X-Valid' => '1s' });
my @LONG = (headers => { 'X-Valid' => '1h' });

sub call { my ($inputs, %option) = @_;
    return $nginx->post(embed_call('openai', $inputs, %option)) }

# several clients at once, of which one is answered by the upstream

sub at_once {
    my ($inputs, $n, %option) = @_;

    my $gate = 'gate ' . ++$serial;
    my @clients = map { $nginx->client } 1 .. $n;
    my @answers;

    my $calls = calls(sub {
        $_->send($nginx->request_text(embed_call('openai', $inputs, %option,
            mock => { gate => $gate, %{$option{mock} // {}} }))) for @clients;
        ok($mock->wait_for(sub { $mock->waiting($gate) }), "$gate: a call");
        pause(0.3);
        $mock->release($gate);
        @answers = map { $_->response } @clients;
    });

    $_->close for @clients;

    return ($calls, join(' ', sort map { $_->cache } @answers), @answers);
}

# nothing there, some there, duplicates only

my ($calls, $statuses, @answers) = at_once(['n 1', 'n 2'], 4);

is($calls, 1, 'new: one call');
is($statuses, 'MISS SHARED SHARED SHARED', 'new: shared');
is($_->body, $answers[0]->body, 'new: the same bytes') for @answers;

($calls, $statuses, @answers) = at_once(['n 3', 'n 1', 'n 4'], 4);

is($calls, 1, 'some: one call');
is($statuses, 'PARTIAL SHARED SHARED SHARED', 'some: shared');
is($_->body, $answers[0]->body, 'some: the same bytes') for @answers;
like((grep { $_->cache eq 'SHARED' } @answers)[0]->header('Cache-Status'),
    qr/fwd=uri-miss; collapsed/, 'some: Cache-Status');

($calls, $statuses) = at_once(['d', 'd'], 3);

is($calls, 1, 'duplicates: one call');
is($statuses, 'MISS SHARED SHARED', 'duplicates: shared');

# the answer is longer than an entry, its inputs are not

my @long = map { "long $_" } 1 .. 8;

($calls, $statuses) = at_once(\@long, 3, prefix => '/short',
    embed => { dim => 40 });

is($calls, 1, 'a long answer: one call');
is($statuses, 'MISS SHARED SHARED', 'a long answer: shared');

my $longer = call([map { "longer $_" } 1 .. 8], prefix => '/short',
    embed => { dim => 40 });

is($nginx->logged($longer)->{reason}, '', 'a long answer: it is stored');
is($nginx->logged($longer)->{prompt_tokens}, embed_billed($longer->json),
    'a long answer: its tokens');

($calls, $statuses) = at_once(['n 5', 'n 1'], 3, prefix => '/alone');

is($calls, 3, 'no lock: three calls');


# an error; a leader that leaves

my ($errors) = at_once(['e 1', 'e 2'], 3, mock => { status => 400 });

cmp_ok($errors, '<=', 2, 'errors: not one for each');

call(['l 1']);

my $leader = $nginx->client;
my @request = embed_call('openai', ['l 1', 'l 2']);

$leader->send($nginx->request_text(embed_call('openai', ['l 1', 'l 2'],
    mock => { gate => 'never' })));
ok($mock->wait_for(sub { $mock->waiting('never') }), 'leaving: a call');

my $follower = $nginx->client;

$follower->send($nginx->request_text(embed_call('openai', ['l 1', 'l 2'])));
pause(0.2);
$leader->close;

my $followed = $follower->response;

is($followed->status, 200, 'leaving: who follows takes over');
is($followed->cache, 'PARTIAL', 'leaving: with what is there');
ok($mock->wait_for(sub { $mock->aborted }), 'leaving: the call is given up');
$follower->close;

is(call(['l 1', 'l 2'])->cache, 'HIT', 'leaving: it was stored');


# a worker that dies with a subrequest

my $doomed = $nginx->client;

$doomed->send($nginx->request_text(embed_call('openai', ['l 1', 'k'],
    mock => { gate => 'deadly' })));
ok($mock->wait_for(sub { $mock->waiting('deadly') }), 'dying: a call');
ok($nginx->kill_worker(0), 'dying: one');
ok($nginx->kill_worker(0), 'dying: and the other');
$mock->release('deadly');
$doomed->close;
is(call(['l 1', 'k'])->cache, 'PARTIAL', 'dying: the zone goes on');
is(call(['k', 'l 1', 'l 2'])->cache, 'HIT', 'dying: as before');


# stale vectors

my @s = ('s 1', 's 2');
my $old = call(\@s, prefix => '/stale', @BRIEF);

pause(2.1);

my $stale = call(\@s, prefix => '/stale', mock => { status => 500 });

is($stale->status, 200, 'stale: served');
is($stale->cache, 'STALE', 'stale: said so');
like($stale->header('Cache-Status'), qr/hit; ttl=-\d+; detail="stale"/,
    'stale: Cache-Status');
is($stale->body, $old->body, 'stale: all of it');
is(call([reverse @s], prefix => '/stale', mock => { status => 429 })->cache,
    'STALE', 'stale: in another batch');
is(call([@s, 's 3'], prefix => '/stale', mock => { status => 500 })->status,
    500, 'stale: not if one is missing');
is(call(\@s, prefix => '/stale', mock => { status => 404 })->status, 404,
    'stale: not for all errors');

my $renewed = call(\@s, prefix => '/stale', @LONG);

is($renewed->cache, 'EXPIRED', 'stale: fetched anew');
like($renewed->header('Cache-Status'), qr/fwd=stale/, 'stale: Cache-Status');
is_deeply([embed_asked($mock->last_request)], \@s, 'stale: both of them');
is(call(\@s, prefix => '/stale')->cache, 'HIT', 'stale: fresh again');

call(['s 4'], prefix => '/stale', @BRIEF);
pause(2.1);
is(call(['s 1', 's 4'], prefix => '/stale', @LONG)->cache, 'PARTIAL',
    'stale: one of them');
is_deeply([embed_asked($mock->last_request)], ['s 4'],
    'stale: is asked for');

# while they are fetched

my @u = ('u 1', 'u 2');

call(\@u, prefix => '/updating', @BRIEF);
pause(2.1);

my ($first, $second) = map { $nginx->client } 1, 2;

$first->send($nginx->request_text(embed_call('openai', \@u,
    prefix => '/updating', @BRIEF, mock => { gate => 'update' })));
ok($mock->wait_for(sub { $mock->waiting('update') }), 'updating: a call');
$second->send($nginx->request_text(embed_call('openai', \@u,
    prefix => '/updating')));

is($second->response->cache, 'UPDATING', 'updating: served at once');
$mock->release('update');
is($first->response->cache, 'EXPIRED', 'updating: the one that fetches');
$_->close for $first, $second;


# one input is as any other answer

pause(2.1);

my $one = call(['u 1'], prefix => '/updating', @LONG);

is($one->cache, 'UPDATING', 'one input: refreshed in the background');
ok($nginx->wait_until(sub { call(['u 1'], prefix => '/updating')->cache eq
    'HIT' }), 'one input: it is there');
is(call(['u 1', 'u 1'], prefix => '/updating')->cache, 'HIT',
    'one input: of use in a batch');


# nginx reloads while a subrequest is under way

my $patient = $nginx->client;

$patient->send($nginx->request_text(embed_call('openai', ['l 1', 'r'],
    mock => { gate => 'reload' })));
ok($mock->wait_for(sub { $mock->waiting('reload') }), 'reload: a call');
ok($nginx->reload, 'reload');
$mock->release('reload');
is($patient->response->cache, 'PARTIAL', 'reload: answered');
$patient->close;
is(call(['r', 'l 1'])->cache, 'HIT', 'reload: and stored');

finish();
