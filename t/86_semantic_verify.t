# llm_cache_semantic_verify: semantic hits that go upstream instead, and what
# becomes of those that were wrong.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use Digest::SHA qw(sha1_hex);

use LLMTest;

my $mock = mock();

# all share one namespace: who sends X-Verify has its hits verified

my $locations = join '', map {
    my ($name, $more) = @$_;

    <<"END";
    location /$name/ {
        llm_cache on zone=$name;
        llm_cache_namespace $name;
        llm_cache_semantic on;
        proxy_pass http://llm;
        $more
        if (\$http_x_verify) {
            llm_cache_semantic_verify 100%;
            proxy_pass http://llm;
        }
    }
    location = /$name {
        llm_cache on zone=$name;
        return 200 '{"pid": "\$pid"%COUNTERS%}';
    }
END
} ['one', ''], ['packed', ''], ['lock', ''], ['half',
    'llm_cache_semantic_verify 50%;'], ['none', ''],
    ['strict', 'llm_cache_semantic_verify 100% threshold=1;'],
    ['loose', 'llm_cache_semantic_verify 100% threshold=0.0001;'],
    ['down', ''], ['stale', 'llm_cache_use_stale http_500;'];

my @counters = qw(lookups hits refused refused_number refused_name verified
    wrong false_rate unmeasured reported embeds embed_errors embed_seconds
    search_seconds nonsense refused_nonsense);
my $counters = join '', map { ", \"$_\": \"\$llm_cache_semantic_$_\"" }
    @counters;

$locations =~ s/%COUNTERS%/$counters/g;

my $nginx = nginx(no_location => 1, workers => 2, allow =>
    qr/llm cache: the upstream failed/,
    http => join('', map { "llm_cache_zone zone=$_:8m"
        . ($_ eq 'packed' ? ' compress=on' : '') . ";\n" } qw(one packed lock
        half none strict loose down stale)), server => <<"END");
    add_header X-Reason \$llm_cache_reason always;
    $locations
    location /api { llm_cache_api; }
    location / { proxy_pass http://llm; }
END

sub count { my ($zone) = @_; return $nginx->get("/$zone")->json }

# the client may have its answer a little before all is counted

sub counted {
    my ($zone, $name, $expected) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    $nginx->wait_until(sub { count($zone)->{$name} == $expected });

    return is(count($zone)->{$name}, $expected, "$zone: $expected $name");
}

sub ask {
    my ($zone, $prompt, %option) = @_;

    my $verify = delete $option{verify};
    my $more = delete $option{more} // {};
    my $text = delete $option{text};

    $option{mock}{text} = $text if defined $text;
    $option{headers}{'X-Verify'} = '1' if $verify;

    return $nginx->post("/$zone" . chat_uri(), chat($prompt, %$more),
        %option);
}

sub key { return $_[0]->header('X-LLM-Cache-Key') }

# what was right

my $WHAT = 'What is the capital of France?';
my $AGAIN = 'whats the captial of France';
my $THIRD = 'Whats the captial of France??';

my $first = ask('one', $WHAT, text => 'The capital of France is Paris.');
my $calls = calls(sub {
    my $fresh = ask('one', $AGAIN, verify => 1,
        text => 'Paris is the capital of France.');

    is($fresh->cache, 'MISS', 'it is a miss');
    is($fresh->status, 200, 'which is answered');
    like($fresh->body, qr/Paris is the capital/, 'by the upstream');
    isnt(key($fresh), key($first), 'under its own key');
    is($fresh->header('X-LLM-Cache-Similarity'), undef, 'no similarity');
    is($fresh->header('X-Reason'), 'verify', '$llm_cache_reason');
    like($fresh->header('Cache-Status'), qr/^llm-cache;\ fwd=uri-miss;
        \ fwd-status=200;\ detail="verify";\ key="[0-9a-f]{64}"$/x,
        'Cache-Status');
    isnt($fresh->header('Connection'), 'close', 'the connection is kept');
    is_hit(ask('one', $AGAIN), $fresh, 'it is stored');
});

is($calls, 1, 'one call');

counted('one', 'verified', 1);

my $now = count('one');

is($now->{wrong}, 0, 'and was right');
is($now->{false_rate}, '0.0000', 'the rate of false hits');
is($now->{unmeasured}, 0, 'nothing was left out');
is($now->{lookups}, 2, 'look-ups');
is($now->{hits}, 0, 'no hit was served');
is(key(ask('one', 'What is the capital of France??')), key($first),
    'the first answer serves others');
is(count('one')->{hits}, 1, 'a hit was served');
is($now->{$_}, '', "no counter of the name $_")
    for qw(nonsense refused_nonsense);
cmp_ok($now->{embeds}, '>=', 5, 'texts were embedded');
is($now->{embed_errors}, 0, 'without errors');
like($now->{"${_}_seconds"}, qr/^0\.\d{6}$/, "seconds of $_")
    for qw(embed search);
cmp_ok($now->{embed_seconds}, '>', 0, 'embedding took time');

# guards are counted

ask('one', 'Who wrote chapter 3 of the book?');
ask('one', 'Who wrote chapter 4 of the book?');
is(count('one')->{refused_number} - $now->{refused_number}, 1,
    'refused by a guard');
is(count('one')->{refused} - $now->{refused}, 1, 'and in all');
is(count('one')->{refused_name}, $now->{refused_name}, 'by no other');

# what was wrong serves no other question, but its own

$first = ask('one', 'How is cheese made?', text => 'Milk is curdled, drained '
    . 'and left to ripen in a cellar.');

my $second = ask('one', 'how is chese made', verify => 1,
    text => 'Grapes are pressed and their juice ferments in barrels.');

is($second->cache, 'MISS', 'a wrong one is a miss');
counted('one', 'verified', 2);
$now = count('one');
is($now->{wrong}, 1, 'and counted');
is($now->{false_rate}, '0.5000', 'in the rate');
is_hit(ask('one', 'How is cheese made?'), $first, 'its own question');

sub third { return ask('one', 'How is cheese made') }

my $third = third();

is($third->cache, 'SEMANTIC', 'the nearest question');
is(key($third), key($second), 'is not answered by it');
ask('one', 'How is cheese made?', text => 'Of milk.',
    headers => { 'Cache-Control' => 'no-cache' });
is(ask('one', 'How is cheese made?')->cache, 'HIT', 'it is stored again');
is(key(third()), key($second), 'and does not come back');
ok($nginx->reload, 'reload');
is(key(third()), key($second), 'not after a reload, either');
is(count('one')->{wrong}, 1, 'the counters survive it');

# other thresholds

ask($_, $WHAT, text => 'The capital of France is Paris.')
    for 'strict', 'loose';
ask('strict', $AGAIN, text => 'Paris is the capital of France.');
counted('strict', 'wrong', 1);
ask('loose', $AGAIN, text => 'Water boils at 100 degrees in Paris.');
counted('loose', 'verified', 1);
is(count('loose')->{wrong}, 0, 'and a bad answer');

# every dialect, streamed or not, one after the other form

my ($right, $wrong) = ('Salt comes from rocks on land, which rain washes into '
    . 'rivers.', 'Elephants are the largest animals that live on land.');

for my $dialect (dialects()) {
    my $name = $dialect->{name};

    next if $name !~ /chat|responses|anthropic|generate|gemini (?:str|arr)/;

    my @forms = $dialect->{streams} ? (\0, \1) : (undef);

    for my $form (@forms) {
        my $before = count('none');
        my $water = $form && ${$form} ? 'lake' : 'sea';

        my $get = sub {
            my ($prompt, $stream, $text, %headers) = @_;

            return $nginx->post("/none$dialect->{uri}", $dialect->{body}->(
                $prompt, defined $stream ? (stream => $stream) : ()),
                mock => { text => $text }, headers => {
                    %{$dialect->{headers} // {}}, %headers });
        };

        $get->("Why is the $water of $name salty?", $form, $right);
        is($get->("why is the $water of $name salty", defined $form
            ? (${$form} ? \0 : \1) : undef, $right, 'X-Verify' => 1)->cache,
            'MISS', "$name: a miss");
        $get->("How deep is the $water of $name?", $form, $right);
        $get->("how deep is teh $water of $name", $form, $wrong,
            'X-Verify' => 1);

        counted('none', 'verified', $before->{verified} + 2);
        is(count('none')->{wrong} - $before->{wrong}, 1,
            "$name: one was wrong");
    }
}

# long ones, and packed ones

for my $zone ('none', 'packed') {
    my $before = count($zone);

    ask($zone, 'Why is the moon round?', mock => { size => 30000 });
    pause(0.2);
    ask($zone, 'why is teh moon round', verify => 1,
        more => { stream => \1 }, mock => { size => 90000 });
    counted($zone, 'verified', $before->{verified} + 1);
    is(count($zone)->{wrong}, $before->{wrong},
        "$zone: of the same beginning");
}

# what cannot be compared

sub unmeasured {
    my ($name, %option) = @_;

    my $before = count('none');
    my $size = delete $option{first};

    ask('none', "How far is the star of $name?",
        mock => { $size ? (size => $size) : () });

    my $answer = ask('none', "how far is teh star of $name", verify => 1,
        %option);

    counted('none', 'unmeasured', $before->{unmeasured} + 1);
    is(count('none')->{verified}, $before->{verified}, "$name: not compared");

    return $answer;
}

is(unmeasured('calls', mock => { kind => 'tools' })->cache, 'MISS',
    'a call of tools');
unmeasured('long', mock => { size => 70000 });
unmeasured('longer', first => 70000);
is(unmeasured('secrets', mock => { headers => [['Cache-Control',
    'no-store']] })->header('X-Reason'), 'upstream_no_store',
    'what may not be stored');

# the upstream fails: there is an answer after all

$first = ask('none', 'How old is the world?');

for my $status (500, 429, 503) {
    my $served = unmeasured("status $status", mock => { status => $status });

    is($served->status, 200, "$status: answered");
    is($served->cache, 'SEMANTIC', "$status: by the semantic hit");
    like($served->header('X-LLM-Cache-Similarity'), qr/^0\.\d{3}$/,
        "$status: which says so");
    is($served->complete, 1, "$status: whole");
}

for my $status (401, 403, 404, 400) {
    my $refused = unmeasured("status $status", mock => { status => $status });

    is($refused->status, $status, "$status stays");
    is($refused->cache, 'MISS', "$status: a miss");
}

# requests that would not be stored, and those that want no call

ask('none', 'How tall is the tree?');
is(ask('none', 'how tall is teh tree', verify => 1, more => { cache => {
    'no-store' => \1 } })->cache, 'SEMANTIC', 'no-store');
is(ask('none', 'how tall is teh tree', verify => 1,
    headers => { 'Cache-Control' => 'only-if-cached' })->cache, 'SEMANTIC',
    'only-if-cached');

# equal ones at a time

ask('lock', $WHAT, text => 'Paris.');
$mock->next({ gate => 'lock', text => 'Paris.' });

my @clients = map { $nginx->client } 1 .. 6;

is(calls(sub {
    my $text = $nginx->request_text('/lock' . chat_uri(), chat($AGAIN),
        headers => { 'X-Verify' => 1 });

    $clients[0]->send($text);
    ok($mock->wait_for(sub { $mock->waiting('lock') }), 'one goes upstream');
    $_->send($text) for @clients[1 .. 5];
    pause(0.2);
    $mock->release('lock');
    is(join(' ', sort map { $_->response->cache } @clients),
        'MISS SHARED SHARED SHARED SHARED SHARED', 'the others follow it');
}), 1, 'with one call');
counted('lock', 'verified', 1);

# and where it fails, all get the hit

ask('lock', 'How is wine made?', text => 'Of grapes.');
$mock->next({ gate => 'fail', status => 500 });
@clients = map { $nginx->client } 1 .. 6;

is(calls(sub {
    my $text = $nginx->request_text('/lock' . chat_uri(),
        chat('how is teh wine made'), headers => { 'X-Verify' => 1 });

    $clients[0]->send($text);
    ok($mock->wait_for(sub { $mock->waiting('fail') }), 'one goes upstream');
    $_->send($text) for @clients[1 .. 5];
    pause(0.2);
    $mock->release('fail');
    is(join(' ', sort map { $_->response->cache } @clients),
        join(' ', ('SEMANTIC') x 6), 'all are served');
}), 1, 'with one call');

# a share of them

my %half;

for my $number (1 .. 60) {
    (my $word = sha1_hex($number)) =~ tr/0-9/g-p/;
    $word = substr $word, 0, 9;

    ask('half', "What does the word $word mean?");
    $half{ask('half', "what does teh word $word mean")->cache}++;
}

is(join(' ', sort keys %half), 'MISS SEMANTIC', 'half of them');
counted('half', 'verified', $half{MISS});

# what the API tells of all that

$now = count('one');

my %zone = map { $_->{name} => $_ } @{$nginx->get('/api/status')->json
    ->{zones}};
my $told = $zone{one}{semantic};

is($told->{$_}, $now->{$_}, "status: $_") for qw(lookups hits verified wrong
    unmeasured reported embeds embed_errors);
is($told->{false_rate}, 0.5, 'status: false_rate');
is($told->{refused}{number}, $now->{refused_number}, 'status: refused');
cmp_ok($told->{embed_seconds}, '>', 0, 'status: embed_seconds');

my $metrics = $nginx->get('/api/metrics')->body;

for my $line ("wrong_total{zone=\"one\"} $now->{wrong}",
    "verified_total{zone=\"one\"} $now->{verified}",
    "embeds_total{zone=\"one\"} $now->{embeds}",
    "refused_total{zone=\"one\",guard=\"number\"} $now->{refused_number}")
{
    like($metrics, qr/^llm_cache_semantic_\Q$line\E$/m, "metrics: $line");
}

like($metrics, qr/^llm_cache_semantic_embed_seconds_total\{zone="one"\}
    \ 0\.\d+$/mx, 'metrics: embed_seconds');

# bad values

like((nginx_t(location => 'llm_cache_semantic_verify 5;'))[1],
    qr/"5" in "llm_cache_sem\w+_verify", it must be from "0%" to "100%"/,
    'no percentage');

for my $bad (['5', '5'], ['101%', '101%'], ['-1%', '-1%'], ['%', '%'],
    ['x%', 'x%'], ['0.001%', '0.001%'], ['5% threshold=0', 'threshold=0'],
    ['5% threshold=2', 'threshold=2'], ['5% else', 'else'])
{
    my ($code, $said) = nginx_t(location =>
        "llm_cache_semantic_verify $bad->[0];");

    isnt($code, 0, "$bad->[0]: refused");
    like($said, qr/invalid value "\Q$bad->[1]\E" in "llm_cache_sem\w+_verify"/,
        "$bad->[0]: the message");
}

for my $good ('0%', '0.01%', '100%', '2.5% threshold=0.7') {
    is((nginx_t(location => "llm_cache_semantic_verify $good;"))[0], 0, $good);
}

finish();
