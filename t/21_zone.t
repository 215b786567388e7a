# The zone: eviction, max_entry, inactive, several zones, no room at all.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $mock = mock();

sub post {
    my ($nginx, $prompt, %option) = @_;

    return $nginx->post(($option{prefix} // '') . chat_uri(), chat($prompt),
        mock => $option{mock});
}

# more answers than there is room for

my $small = nginx(location => 'llm_cache on;',
    http => 'llm_cache_zone zone=small:1m;');
my (@bad, %kept);
my $answers = 1000;

for my $number (1 .. $answers) {
    my $first = post($small, "fill $number", mock => { size => 3000 });

    push @bad, $first->summary if $first->cache ne 'MISS'
        || !$first->complete;
    $kept{recent} = $first;
    post($small, 'fill 1') if $number % 50 == 0;
}

is("@bad", '', 'a full zone: every request is answered');
is_hit(post($small, "fill $answers"), $kept{recent},
    'a full zone: the latest is there');
is(post($small, 'fill 1')->cache, 'HIT',
    'a full zone: what is used again and again is there');
is_miss(post($small, 'fill 2'), 'a full zone: the least recent is gone');

my $there = grep { post($small, "fill $answers", mock => {})->cache eq 'HIT' }
    1 .. 3;

is($there, 3, 'a full zone: hits do not evict');

my $held = 0;

for my $number (reverse $answers - 150 .. $answers) {
    last if $small->post(chat_uri(), chat("fill $number"), headers => {
        'Cache-Control' => 'only-if-cached' })->status != 200;
    $held++;
}

cmp_ok($held, '>=', 140, 'a full zone: it is used well');

# what was used last stays, whenever it was stored

my $recent = nginx(location => 'llm_cache on;',
    http => 'llm_cache_zone zone=recent:1m evict=lru;');

sub is_there {
    my ($prompt) = @_;

    return $recent->post(chat_uri(), chat($prompt), headers => {
        'Cache-Control' => 'only-if-cached' })->status == 200 ? 1 : 0;
}

my $hot = post($recent, 'hot', mock => { size => 3000 });

post($recent, "cold $_", mock => { size => 3000 }) for 1 .. 80;
pause(1.1);
is_hit(post($recent, 'hot'), $hot, 'least recently used: the oldest is used');
post($recent, "new $_", mock => { size => 3000 }) for 1 .. 220;
is(is_there('hot'), 1, 'least recently used: it stays');
is(is_there('cold 1'), 0, 'least recently used: the others go');
is(is_there('new 220'), 1, 'least recently used: the latest stays');

# an answer of 2 KB, with its headers, takes some 18 % more, and the
# zone's tables another 5 %

my $dense = nginx(location => 'llm_cache on;',
    http => 'llm_cache_zone zone=dense:1m evict=lru;');
my @sizes = map {
    my $answer = post($dense, "dense $_", mock => { size => 1800 + $_ % 120 });

    length($answer->body) + length($answer->header('Content-Type'))
        + length join '', map { $_ . $answer->header($_) } qw(x-request-id
            request-id openai-version);
} 1 .. 500;
my @dense = grep { $dense->post(chat_uri(), chat("dense $_"), headers => {
    'Cache-Control' => 'only-if-cached' })->status == 200 } 1 .. 500;
my ($used, $all) = (0, 0);

$all += $_ for @sizes;
$used += $sizes[$_ - 1] for @dense;
cmp_ok($all / 500, '<', 2600, 'dense: answers of some 2 KB');
cmp_ok($used * 1.25, '>', 1 << 20, 'dense: overhead');

# answers of all sizes, small and large, mixed

my %mixed;

@bad = ();

for my $round (1 .. 3) {
    for my $size (1, 10, 100, 1000, 4000, 4096, 5000, 20_000, 60_000,
        100_000, 7, 3333)
    {
        my $answer = post($small, "size $size", mock => { size => $size });
        my $text = eval { $answer->json->{choices}[0]{message}{content} };

        push @bad, "$size: " . $answer->summary
            if length($text // '') != $size;
        $mixed{$answer->cache}++;
    }
}

is("@bad", '', 'sizes: every answer is whole');
cmp_ok($mixed{HIT} // 0, '>=', 12, 'sizes: hits');

# max_entry

my $strict = nginx(location => 'llm_cache on;',
    http => 'llm_cache_zone zone=strict:2m max_entry=8k;');

for my $stream (json_false, json_true) {
    my $how = $stream ? 'stream' : 'JSON';
    my @small = map { $strict->post(chat_uri(), chat('small',
        stream => $stream), mock => { size => 50 }) } 1, 2;
    my @large = map { $strict->post(chat_uri(), chat('large',
        stream => $stream), mock => { size => 9000 }) } 1, 2;

    is($small[1]->cache, 'HIT', "max_entry, $how: below");
    is($large[1]->cache, 'MISS', "max_entry, $how: above");
    is($strict->logged($large[1])->{reason}, 'entry_size',
        "max_entry, $how: reason");
    ok($large[1]->complete, "max_entry, $how: complete");
}

# answers larger than the zone: served, not stored, one warning

my $tiny = nginx(location => 'llm_cache on;', http =>
    'llm_cache_zone zone=tiny:256k max_entry=16m;');

post($tiny, 'before');

for my $round (1 .. 3) {
    my $answer = post($tiny, 'giant', mock => { size => 2_000_000 });

    is(length $answer->json->{choices}[0]{message}{content}, 2_000_000,
        "larger than the zone, $round: served whole");
    is($answer->cache, 'MISS', "larger than the zone, $round: not stored");
    is($tiny->logged($answer)->{reason}, 'zone_full',
        "larger than the zone, $round: reason");
}

my $warnings = () = $tiny->error_log =~ /\[warn\].*"tiny".* full/g;

is($warnings, 1, 'larger than the zone: one warning');

my ($first, $second) = map { post($tiny, 'after') } 1, 2;

is_hit($second, $first, 'larger than the zone: it works on');

# inactive counts at look-up

my $idle = nginx(location => 'llm_cache on zone=idle;', http =>
    'llm_cache_zone zone=idle:1m inactive=2s; llm_cache_zone zone=busy:1m;',
    server => 'location /busy/ { llm_cache on zone=busy;'
    . 'proxy_pass http://llm; }');
my %prompt = (idle => post($idle, 'idle'), used => post($idle, 'used'),
    busy => post($idle, 'idle', prefix => '/busy'));

for my $step (1 .. 4) {
    pause(1);
    is(post($idle, 'used')->cache, 'HIT', "used, $step");
}

is_miss(post($idle, 'idle'), 'inactive');
is_hit(post($idle, 'idle', prefix => '/busy'), $prompt{busy},
    'another zone, which keeps it');

# a hit that is read slowly keeps its bytes while the zone is filled anew, and
# gives its memory back

my $held_open = nginx(location => 'llm_cache on;', listen => 'sndbuf=16k',
    http => 'llm_cache_zone zone=held:4m max_entry=2m;');
my $long = post($held_open, 'long', mock => { size => 1_000_000 });
my @readers = map { my $client = $held_open->client;
    $client->send($held_open->request_text(chat_uri(), chat('long')));
    $client->received(qr/^X-LLM-Cache: HIT/m); $client } 1 .. 6;

$held_open->post(chat_uri(), chat('long'), mock => { size => 900_000 },
    headers => { 'Cache-Control' => 'no-cache' });
is(length post($held_open, 'long')->json->{choices}[0]{message}{content},
    900_000, 'slow readers: another answer has taken its place');

for my $number (1 .. 300) {
    post($held_open, "fill $number", mock => { size => 20_000 });
}

is($held_open->post(chat_uri(), chat('long'), headers => {
    'Cache-Control' => 'only-if-cached' })->status, 504,
    'slow readers: and has been evicted');

$_->close for splice @readers, 0, 3;

is_hit($_->response, $long, 'slow readers') for @readers;
$_->close for @readers;

my @room = map { post($held_open, "room $_", mock => { size => 900_000 }) }
    1 .. 3;

is_hit(post($held_open, "room $_"), $room[$_ - 1], "slow readers: room, $_")
    for 1 .. 3;

# zones do not share

my $pair = nginx(http => 'llm_cache_zone zone=one:1m;'
    . 'llm_cache_zone zone=two:1m; llm_cache_namespace all;',
    location => 'llm_cache on zone=one;', servers => 'server {'
    . 'listen 127.0.0.1:%PORT%; server_name two.test; location / {'
    . 'llm_cache on zone=two; proxy_pass http://llm; } }');
my @asked = map { $pair->post(chat_uri(), chat('zones'),
    headers => { 'Host' => $_ }) } 'one.test', 'two.test', 'one.test',
    'two.test';

is_deeply([map { $_->cache } @asked], [qw(MISS MISS HIT HIT)],
    'zones do not share');
is($asked[3]->body, $asked[1]->body, 'each zone its own');

# several workers share one zone

my $workers = nginx(workers => 4, location => 'llm_cache on;');
my $shared = post($workers, 'shared');

pause(0.1);

my @hits = map { post($workers, 'shared') } 1 .. 40;

is(scalar(grep { $_->cache eq 'HIT' && $_->body eq $shared->body } @hits),
    40, 'four workers, one zone');

finish();
