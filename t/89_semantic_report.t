# A bad semantic hit is reported by its key: the answer serves no other
# question any more, but its own.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $mock = mock();

my %conf = (location => 'llm_cache on zone=one; llm_cache_semantic on;',
    http => <<'END', server => <<'END2');
    llm_cache_zone zone=one:1m;
    llm_cache_zone zone=two:1m;
END
    location /two/ {
        llm_cache on zone=two;
        proxy_pass http://llm;
    }
    location /api { llm_cache_api write=on; }
    location /readonly { llm_cache_api; }
END2

my $nginx = nginx(%conf);

my $WHAT = 'What is the capital of France?';

sub ask { return $nginx->post(chat_uri(), chat($_[0])) }

sub report {
    my ($body, $path, %option) = @_;

    return $nginx->post(($path // '/api') . '/report',
        ref $body ? to_json($body) : $body, %option);
}

sub counted { return from_json($nginx->get('/api/status')->body)
    ->{zones}[0]{semantic}{reported} }

my $first = ask($WHAT);
my $hit = ask('whats the captial of France');
my $key = $first->header('X-LLM-Cache-Key');

is($hit->cache, 'SEMANTIC', 'a semantic hit');
is($hit->header('X-LLM-Cache-Key'), $key, 'it names the key of its answer');

# what is no report

my %bad = ('' => 400, '{' => 400, '[]' => 400, '{}' => 400,
    '{"key": "abc"}' => 400, '{"key": 1}' => 400, '{"all": true}' => 400,
    qq({"key": "$key", "model": "x"}) => 400,
    qq({"key": "$key", "dry_run": true}) => 400,
    qq({"key": "$key", "zone": "three"}) => 400,
    qq({"key": "$key", "zone": "two"}) => 404,
    '{"key": "' . 'a' x 64 . '"}' => 404);

for my $body (sort keys %bad) {
    my $answer = report($body);

    is($answer->status, $bad{$body}, "$body: status");
    ok(from_json($answer->body)->{error}, "$body: it says why");
}

is(report({ key => $key }, '/readonly')->status, 403, 'without write=on');
is(report({ key => $key }, '/api',
    headers => { Origin => 'http://elsewhere' })->status, 403,
    'from a page of somebody else');
is($nginx->get('/api/report')->status, 405, 'GET');
is(ask('whats the captial of France ')->cache, 'SEMANTIC',
    'none of these bars it');

my $before = counted();

# a report

my $answer = report({ key => $key, zone => 'one' });

is($answer->status, 200, 'reported');
is_deeply(from_json($answer->body), { reported => json_true() },
    'the answer says so');
is(counted(), $before + 1, 'it is counted');
is_hit(ask($WHAT), $first, 'its own question is served');
is(ask('whats the captial of france?')->cache, 'MISS', 'another one is not');
is(ask('Whats the capital of France')->header('X-LLM-Cache-Key') // '',
    ask('whats the captial of france?')->header('X-LLM-Cache-Key'),
    'but by the answer that has come since');
is(report({ key => $key })->status, 200, 'reported once more');

# it stays barred over a reload, and when its answer is fetched anew

$nginx->reload;
is_hit(ask($WHAT), $first, 'after a reload: its own question');
$nginx->post(chat_uri(), chat($WHAT), headers =>
    { 'Cache-Control' => 'no-cache' });
isnt(ask("What's the capital of France!")->header('X-LLM-Cache-Key') // '',
    $key, 'fetched anew: no other question');

# and when the index is another one

$conf{http} =~ s/zone=one:1m/zone=one:1m semantic=64/;
ok($nginx->reload(%conf), 'a reload with another index');
$nginx->post(chat_uri(), chat($WHAT), headers =>
    { 'Cache-Control' => 'no-cache' });
is(ask('Whats teh capital of France')->cache, 'MISS',
    'another index: no other question');

finish();
