# How long answers live: llm_cache_valid, Age, EXPIRED.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $mock = mock();

my $nginx = nginx(location => 'llm_cache on;',
    http => <<'END', server => <<'END2');
    map $llm_cache_model $valid {
        default 1h;
        brief 1s;
        never 0;
        odd nonsense;
        nothing "";
        day 1d;
        century 100y;
    }
END
    location /short/ {
        llm_cache on;
        llm_cache_valid 1s;
        proxy_pass http://llm;
    }
    location /none/ {
        llm_cache on;
        llm_cache_valid 0;
        proxy_pass http://llm;
    }
    location /model/ {
        llm_cache on;
        llm_cache_valid $valid;
        proxy_pass http://llm;
    }
    location /mixed/ {
        llm_cache on;
        llm_cache_valid ${arg_ttl}s;
        proxy_pass http://llm;
    }
END2

sub ask {
    my ($prefix, $prompt, %body) = @_;

    return $nginx->post($prefix . chat_uri(), chat($prompt, %body));
}

sub ttl {
    my ($response) = @_;

    my ($ttl) = $response->header('Cache-Status') =~ /; ttl=(-?\d+)/;

    return $ttl;
}

# before time passes

my %first = (short => ask('/short', 'a'), long => ask('', 'a'),
    brief => ask('/model', 'a', model => 'brief'),
    model => ask('/model', 'a', model => 'any'),
    day => ask('/model', 'a', model => 'day'),
    century => ask('/model', 'a', model => 'century'),
    query => $nginx->post('/mixed' . chat_uri() . '?ttl=1', chat('a')));

is_miss($first{$_}, "$_: first") for sort keys %first;
is($first{long}->header('Age'), undef, 'no Age on a miss');

my $hit = ask('', 'a');

is_hit($hit, $first{long}, 'an hour by default');
like($hit->header('Age'), qr/^[01]$/, 'a new hit: Age');
cmp_ok(ttl($hit), '>=', 3598, 'a new hit: ttl');
cmp_ok(ttl($hit), '<=', 3600, 'a new hit: ttl is not more');

my $day = ask('/model', 'a', model => 'day');

cmp_ok(ttl($day), '>', 86_390, 'a lifetime from a map');

my $century = ask('/model', 'a', model => 'century');

is_hit($century, $first{century}, 'a hundred years');
cmp_ok(ttl($century), '>', 20 * 365 * 86_400, 'as long as can be told');
is_cached($nginx, 'a hundred years, an embedding', '/model/v1/embeddings',
    { model => 'century', input => ['one', 'two'] });
is_hit($day, $first{day}, 'a lifetime from a map');

# a lifetime of nothing

for my $row (['/none'], ['/model', model => 'never']) {
    my ($prefix, @body) = @$row;
    my $name = "valid 0 at $prefix";

    is_miss(ask($prefix, 'b', @body), $name);

    my $again = ask($prefix, 'b', @body);

    is_miss($again, "$name, again");
    is($nginx->logged($again)->{reason}, 'not_valid', "$name: reason");
}

# a variable that holds no time stores nothing and harms nobody

for my $model ('odd', 'nothing') {
    my @answers = map { ask('/model', 'c', model => $model) } 1, 2;

    is_deeply([map { $_->status } @answers], [200, 200], "$model: answered");
}

# a while later

pause(2.2);

$hit = ask('', 'a');
is_hit($hit, $first{long}, 'later');
like($hit->header('Age'), qr/^[234]$/, 'later: Age grows');
is(ttl($hit) + $hit->header('Age'), 3600, 'later: ttl shrinks');

my $line = $nginx->logged($hit);

is($line->{age}, $hit->header('Age'), '$llm_cache_age');
is($line->{ttl}, ttl($hit), '$llm_cache_ttl');

for my $row (['short', '/short'], ['brief', '/model', model => 'brief']) {
    my ($name, @ask) = @$row;
    my ($prefix, %body) = @ask;
    my $expired = ask($prefix, 'a', %body);

    is($expired->cache, 'EXPIRED', "$name: expired");
    like($expired->header('Cache-Status'), qr/^llm-cache; fwd=stale/,
        "$name: Cache-Status");
    is($expired->header('Age'), undef, "$name: no Age");
    isnt($expired->body, $first{$name}->body, "$name: a fresh answer");
    is_hit(ask($prefix, 'a', %body), $expired, "$name: takes its place");
}

is($nginx->post('/mixed' . chat_uri() . '?ttl=1', chat('a'))->cache,
    'EXPIRED', 'a lifetime from the query');
is_hit(ask('/model', 'a', model => 'any'), $first{model},
    'another model lives on');

# max-age counts against the age: an equal one is still fresh.  The clock may
# step between the two requests, so this is tried more than once.

my $equal;

for my $try (1 .. 5) {
    my $seen = ask('', 'equal');

    pause(1.1) if $seen->cache ne 'HIT' || $seen->header('Age') == 0;
    $seen = ask('', 'equal');
    $equal = $nginx->post(chat_uri(), chat('equal'), headers => {
        'Cache-Control' => 'max-age=' . $seen->header('Age') });
    last if $equal->cache eq 'HIT';
}

is($equal->cache, 'HIT', 'max-age: an equal age is fresh');

isnt($nginx->post(chat_uri(), chat('a'), headers => {
    'Cache-Control' => 'max-age=1' })->cache, 'HIT',
    'max-age: older than the client wants');

my $newer = ask('', 'a');

isnt($newer->body, $first{long}->body,
    'max-age: the fresh answer is stored');

# an expired answer that cannot be fetched anew

ask('/short', 'd');
pause(2.2);

my $failed = $nginx->post('/short' . chat_uri(), chat('d'),
    mock => { status => 500 });

is($failed->status, 500, 'expired: the error is passed on');
is($failed->cache, 'EXPIRED', 'expired: status');

finish();
