# llm_cache observe: scopes, lifetimes, a full zone, simultaneous requests,
# reload, the death of workers, and a zone that is served from afterwards.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use IO::Select ();
use IO::Socket::INET ();

use LLMTest;
use LLMTest::Http2;
use LLMTest::Trap;

my $mock = mock();
my $uri = chat_uri();

my $VARIABLES = join ', ', '', map { "\"$_\": \"\$llm_cache_$_\"" } qw(status
    observed reason prompt_tokens);
my $API = 'location /cache-api { llm_cache_api; }';

sub conf {
    my (%more) = @_;

    $more{server} = "$API " . ($more{server} // '');
    $more{location} //= 'llm_cache observe;';

    return (format => $VARIABLES, level => 'notice', %more);
}

sub zone { my ($nginx) = @_;
    return $nginx->get('/cache-api')->json->{zones}[0] }

sub told { my ($nginx) = @_; return zone($nginx)->{observed} }

sub seen { my ($nginx, @request) = @_; return
    $nginx->logged($nginx->post(@request))->{observed} }

sub some { my ($counts) = @_; return { map { $counts->{$_}
    ? ($_ => $counts->{$_}) : () } keys %$counts } }

# the same question from several callers

my $scopes = nginx(conf(server => <<'END'));
    location /shared/ { llm_cache observe; llm_cache_scope shared;
        proxy_pass http://llm; }
    location /team/ { llm_cache observe; llm_cache_scope $http_x_team;
        proxy_pass http://llm; }
END

for my $path ('', '/shared', '/team') {
    my @seen = map { seen($scopes, $path . $uri, chat('scopes'), headers => {
        Authorization => "Bearer $_->[0]", 'X-Team' => $_->[1] }) }
        ['one', 'red'], ['one', 'red'], ['two', 'red'], ['three', 'blue'],
        ['two', 'blue'];

    is("@seen", { '' => 'MISS HIT MISS MISS HIT',
        '/shared' => 'MISS HIT HIT HIT HIT',
        '/team' => 'MISS HIT HIT MISS HIT' }->{$path}, "scopes, /$path");
}

pause(0.1);

my %by = map { $_->{location} => $_->{observed} } @{zone($scopes)->{series}};

is_deeply({ map { $_ => $by{$_}{requests}{HIT} } keys %by },
    { '/' => 2, '/shared/' => 4, '/team/' => 3 },
    'scopes: hits as it is configured');
is_deeply({ map { my $one = $by{$_}; $_ => [map {
    $one->{scopes}{$_}{requests}{HIT} } qw(credentials shared)] } keys %by },
    { map { $_ => [2, 4] } keys %by }, 'scopes: hits with another');
is_deeply([map { told($scopes)->{scopes}{$_}{saved}{prompt_tokens} }
    qw(credentials shared)], [17 * 6, 17 * 12], 'scopes: tokens');
is_deeply([map { told($scopes)->{scopes}{$_}{entries}{held} }
    qw(credentials shared)], [9, 3], 'scopes: entries');

my $answer = $scopes->logged($scopes->post($uri, chat('scopes'), headers => {
    Authorization => 'Bearer one' }));

is($answer->{prompt_tokens}, 17, 'a hit: the tokens are known');

# lifetimes, and what was not asked for

my $short = nginx(conf(http => 'llm_cache_zone zone=short:1m inactive=3s;',
    location => 'llm_cache observe; llm_cache_valid 1s;', server =>
    'location /long/ { llm_cache observe; proxy_pass http://llm; }'));

is(seen($short, $uri, chat('valid')), 'MISS', 'lifetime: fetched');
is(seen($short, "/long$uri", chat('idle')), 'MISS', 'idle: fetched');
pause(1.2);
is(seen($short, $uri, chat('valid')), 'EXPIRED', 'lifetime: expired');
is(seen($short, $uri, chat('valid')), 'HIT', 'lifetime: fetched again');
pause(2.5);
is(seen($short, "/long$uri", chat('idle')), 'MISS', 'idle: dropped');

# a zone that is full

my $full = nginx(conf(http => 'llm_cache_zone zone=full:1m max_entry=16m'
    . ' evict=lru;'));

$full->post($uri, chat("fill $_"), mock => { size => 3000 }) for 1 .. 400;
pause(0.1);

my $fill = told($full);
my $held = $fill->{entries}{held};

cmp_ok($fill->{memory_bytes}{held}, '<=', $fill->{capacity_bytes},
    'full: no more than the zone');
cmp_ok($fill->{capacity_bytes}, '<', 1 << 20, 'full: which is a little less');
cmp_ok($fill->{memory_bytes}{held}, '>', 0.9 * $fill->{capacity_bytes},
    'full: and it is full');
is($held + $fill->{entries}{evicted}, 400, 'full: what was evicted');
is($fill->{evictions}, 400 - $held, 'full: evictions are counted');
cmp_ok(abs($fill->{memory_bytes}{evicted} / $fill->{entries}{evicted}
    - $fill->{memory_bytes}{held} / $held), '<', 200, 'full: all sizes');
is($fill->{scopes}{shared}{entries}{held}, $held, 'full: each scope');
is(seen($full, $uri, chat('fill 400')), 'HIT', 'full: the latest');
is(seen($full, $uri, chat('fill 1')), 'MISS', 'full: the first is gone');
pause(0.1);
is(told($full)->{lost_hits}, 1, 'full: a larger zone would have had it');

# and once for each request, also for one that might have waited

my $first = $full->client;

$first->send($full->request_text($uri, chat('fill 2'),
    mock => { gate => 'full' }));
$mock->wait_for(sub { $mock->waiting('full') });
is(seen($full, $uri, chat('fill 2')), 'SHARED', 'full: at the same time');
pause(0.1);
is(told($full)->{lost_hits}, 3, 'full: each of them counts once');
$mock->release('full');
$first->response;
$first->close;

my $giant = $full->logged($full->post($uri, chat('giant'),
    mock => { size => 2_000_000 }));

is("$giant->{observed} $giant->{reason}", 'MISS zone_full',
    'full: larger than the zone');

# more keys than are kept: those of the evicted go first

$full->post($uri, chat("small $_"), mock => { size => 3 }) for 1 .. 1300;
pause(0.1);
$fill = told($full);
is($fill->{entries}{held} + $fill->{entries}{evicted}
    + $fill->{scopes}{credentials}{entries}{held}
    + $fill->{scopes}{credentials}{entries}{evicted}
    + $fill->{scopes}{shared}{entries}{held}
    + $fill->{scopes}{shared}{entries}{evicted}, 3 * 1024,
    'many keys: their number is bounded');
cmp_ok($fill->{memory_bytes}{held}, '<=', $fill->{capacity_bytes},
    'many keys: memory');
is(seen($full, $uri, chat('small 1300')), 'HIT', 'many keys: the latest');

# simultaneous equal requests

my $many = nginx(conf(workers => 2, server => 'location /alone/ {'
    . ' llm_cache observe; llm_cache_lock off; proxy_pass http://llm; }',
    allow => qr/exited on signal 9|memory zone "[^"]*" was locked by/));

sub together {
    my ($name, $n, $request, $does, %option) = @_;

    my $calls = $mock->count;
    my $path = ($option{path} // '') . $uri;
    my @clients;

    for my $number (1 .. $n) {
        push @clients, my $client = $many->client;

        my %does = (%{ref $does eq 'ARRAY' ? $does->[$number - 1] // {}
            : $does}, gate => "$name $number");

        $client->send($many->request_text($path, chat($name, %$request),
            mock => \%does, id => "$name $number"));
        $mock->wait_for(sub { $mock->count >= $calls + $number });
    }

    for my $number ($option{backwards} ? reverse 1 .. $n : 1 .. $n) {
        $mock->release("$name $number");
        $clients[$number - 1]->response;
    }

    $_->close for @clients;

    return join ' ', map { $many->logged({ id => "$name $_" })->{observed} }
        1 .. $n;
}

is(together('JSON', 4, {}, {}), 'MISS SHARED SHARED SHARED', 'together');
is(seen($many, $uri, chat('JSON')), 'HIT', 'together: afterwards');
is(together('stream', 3, { stream => json_true }, {}), 'MISS SHARED SHARED',
    'together: a stream');
is(together('backwards', 3, {}, {}, backwards => 1), 'MISS SHARED SHARED',
    'together: the first comes last');
is(together('alone', 3, {}, {}, path => '/alone'), 'MISS MISS MISS',
    'together: without a lock');
is(together('follower', 3, {}, [{}, { status => 500 }]),
    'MISS MISS SHARED', 'together: a later one fails');

my %shared = map { $_ => told($many)->{scopes}{$_}{requests}{SHARED} }
    qw(credentials shared);

is_deeply(\%shared, { credentials => 8, shared => 8 },
    'together: in each scope');
is(together('failed', 2, {}, [{ status => 500 }, {}]), 'MISS MISS',
    'together: the first fails');
is(seen($many, $uri, chat('failed')), 'HIT', 'together: the second counts');

# whose worker died: nobody would have followed him

my $client = $many->client;
my $calls = $mock->count;

$client->send($many->request_text($uri, chat('died'),
    mock => { gate => 'died' }));
$mock->wait_for(sub { $mock->count > $calls });
$many->kill_worker(0) for 1, 2;
is(seen($many, $uri, chat('died')), 'MISS', 'a dead worker\'s request');
is(seen($many, $uri, chat('died')), 'HIT', 'and the one after');
is(seen($many, $uri, chat('JSON')), 'HIT', 'what it had counted stays');
$client->close;

# streams pass as they come

my $stream = $many->client;

$stream->send($many->request_text($uri, chat('held', stream => json_true),
    mock => { hold => [2, 'held'] }));
ok($stream->received(qr/data: .*data: /s), 'events come at once');
$mock->release('held');
ok($stream->response->complete, 'and the others');
is(seen($many, $uri, chat('held', stream => json_true)), 'HIT',
    'a stream was observed');

# HTTP/2

my $h2 = nginx(conf(listen => 'http2'));

for my $round (1, 2) {
    my $connection = LLMTest::Http2->new($h2->port);
    my $id = $connection->request($uri, to_json(chat('h2')),
        authorization => 'Bearer sk', 'x-test-id' => "h2.$round");

    like(($connection->bodies($id))[0], qr/"choices"/, "HTTP/2, $round");
    is($h2->logged({ id => "h2.$round" })->{observed},
        $round == 1 ? 'MISS' : 'HIT', "HTTP/2, $round: observed");
}

# a body that another handler has read, or a redirect has left

my $inner = nginx(conf(server => <<'END'));
    location /mirrored/ { llm_cache observe; mirror /copy;
        proxy_pass http://llm; }
    location = /copy { internal; return 204; }
    location /first/ { proxy_pass http://llm/accel/; }
    location @second { llm_cache observe; proxy_pass http://llm; }
END

is(join(' ', map { seen($inner, "/mirrored$uri", chat('m')) } 1, 2),
    'MISS HIT', 'a body that mirror reads');
is(join(' ', map { $mock->next({ headers => [['X-Accel-Redirect', '@second']]
    }, {}); seen($inner, "/first$uri", chat('x')) } 1, 2),
    'MISS HIT', 'a body that was read before a redirect');

# custom keys, with the body's fields

my $keyed = nginx(conf(location => 'llm_cache observe;'
    . ' llm_cache_key "$llm_request_model $llm_request_seed";',
    format => "$VARIABLES, \"seed\": \"\$llm_request_seed\""));
my @keyed = map { $keyed->logged($keyed->post($uri, chat($_->[0],
    seed => $_->[1]))) } ['a', 1], ['b', 1], ['b', 2];

is(join(' ', map { "$_->{observed} $_->{seed}" } @keyed),
    'MISS 1 HIT 1 MISS 2', 'a key of one\'s own');

# neither Redis nor a state file nor an index of questions has a part in it

my $redis = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5)
    or die "listen: $!\n";
my $apart = nginx(conf(http => 'llm_cache_zone zone=apart:1m state=z.state'
    . ' semantic=16;', location => 'llm_cache observe; llm_cache_semantic on;'
    . ' llm_cache_redis redis://127.0.0.1:' . $redis->sockport . ';'));

is(join(' ', map { seen($apart, $uri, chat($_)) } 'What is the capital of'
    . ' France?', 'What is the capital of France', 'What is the capital of'
    . ' France?'), 'MISS MISS HIT', 'no Redis, no meaning');
ok(!IO::Select->new($redis)->can_read(0.3), 'nobody asks Redis');
ok($apart->quit, 'nginx stops');

my $state = LLMTest::Nginx::slurp($apart->prefix . '/z.state');

unlike($state, qr/gpt-4o-mini/, 'the state file holds none of it');
cmp_ok(length $state, '<', 100, 'and is empty');

# over a reload; served from afterwards, with the same zone

my %conf = conf(http => 'llm_cache_zone zone=same:2m;');
my $same = nginx(%conf);

$same->post($uri, chat("same $_")) for 1, 2, 3;
ok($same->reload, 'reload');
is(join(' ', map { seen($same, $uri, chat("same $_")) } 1, 2, 4),
    'HIT HIT MISS', 'reload: what was seen before');
pause(0.1);

my $before = told($same);

is_deeply(some($before->{requests}), { HIT => 2, MISS => 4 },
    'reload: counters go on');
is($before->{entries}{held}, 4, 'reload: entries stay');
ok($same->reload(%conf, location => 'llm_cache on;'), 'served from now on');
is_cached($same, "served, $_", $uri, chat("same $_")) for 1, 2, 5;

my $served = zone($same);

is_deeply(some($served->{requests}), { HIT => 3, MISS => 3 },
    'served: counters of its own');
is_deeply([@{$served->{observed}}{qw(requests saved)}],
    [@$before{qw(requests saved)}], 'served: what was observed is told');
ok($same->reload(%conf), 'observed again');
is(seen($same, $uri, chat('same 5')), 'MISS', 'observed: it starts anew');
ok($same->reload(%conf, location => 'llm_cache on;',
    server => "$API location /other/ { llm_cache observe;"
    . ' proxy_pass http://llm; }'), 'both in one zone');
is($same->post($uri, chat('same 5'))->cache, 'HIT', 'both: served');
is(join(' ', map { seen($same, "/other$uri", chat('same 5')) } 1, 2),
    'MISS HIT', 'both: observed');

# wrong values, and where it may stand

for my $bad ('llm_cache observed;', 'llm_cache observe zone=none;') {
    my ($code) = nginx_t(location => $bad);

    isnt($code, 0, "$bad is refused");
}

finish();
