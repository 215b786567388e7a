# llm_cache_embeddings: 2,048 inputs, slow clients, and zones that are too
# small for that.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;
use LLMTest::Embeddings;

my $mock = mock();

my $nginx = nginx(http => 'llm_cache_zone zone=a:96m max_entry=64k;'
    . 'llm_cache_zone zone=packed:32m compress=on;'
    . 'llm_cache_zone zone=small:4m;', server => <<'END');
    llm_cache on zone=a;
    location /packed/ {
        llm_cache on zone=packed;
        proxy_pass http://llm/;
    }
    location /small/ {
        llm_cache on zone=small;
        proxy_pass http://llm/;
    }
    location /fast/ {
        proxy_pass http://llm/;
    }
END

# vectors of 384 numbers in base64: 2 KB each

my @LONG = (body => { encoding_format => 'base64' },
    embed => { dim => 384, cheap => 1 });

sub call { my ($inputs, %option) = @_;
    return $nginx->post(embed_call('openai', $inputs, @LONG, %option)) }

# large answers are stored in the rounds after their end

sub stored {
    my ($inputs, %option) = @_;

    return $nginx->wait_until(sub { call($inputs, %option, headers =>
        { 'Cache-Control' => 'only-if-cached' })->status == 200 });
}

# a document of that size takes the tests too long

sub vectors {
    my ($answer, @of) = @_;

    my @all = $answer->body =~ /"embedding":"([^"]*)"/g;

    return @all[@of];
}

my @inputs = map { "input $_" } 1 .. 2048;
my $miss = call(\@inputs, prefix => '/fast');

is($miss->cache, 'MISS', '2,048 inputs');
is_unharmed($miss, '2,048 inputs');

# whoever asks again waits until all of it is stored

my @new = map { "new $_" } 1 .. 2048;

call(\@new, prefix => '/fast');

my $again;

is(calls(sub { $again = call(\@new, prefix => '/fast') }), 0,
    'asked again at once: no call');
like($again->cache, qr/^(?:HIT|SHARED)$/, 'asked again at once: all of it');

ok(stored(\@inputs, prefix => '/fast'), '2,048 inputs: stored');

my $hit = call(\@inputs, prefix => '/fast');

is_hit($hit, $miss, '2,048 inputs');
is(calls(sub { call([reverse @inputs], prefix => '/fast') }), 0,
    '2,048 inputs backwards');

my @one = @inputs;

$one[1000] = 'another';

my $one = call(\@one, prefix => '/fast');

is($one->cache, 'PARTIAL', 'one of them is new');
is_deeply([embed_asked($mock->last_request)], ['another'],
    'one of them is new: it is asked for');
is_deeply([vectors($one, 0 .. 999, 1001 .. 2047)], [vectors($miss,
    0 .. 999, 1001 .. 2047)], 'one of them is new: the others are not');

my @half = map { $_ % 2 ? "half $_" : "input $_" } 1 .. 2048;
my $half = call(\@half, prefix => '/fast');

is($half->cache, 'PARTIAL', 'half of them are new');
is(scalar(embed_asked($mock->last_request)), 1024,
    'half of them are new: these are asked for');
is_deeply([vectors($half, grep { $_ % 2 } 0 .. 2047)],
    [vectors($miss, grep { $_ % 2 } 0 .. 2047)],
    'half of them are new: the others are not');
is(join(' ', $half->body =~ /"index":(\d+)/g), join(' ', 0 .. 2047),
    'half of them are new: all indexes');
is(call(\@half, prefix => '/fast')->body, $half->body, 'then they are not');

my $many = call([@inputs, 'more'], prefix => '/fast');

is($many->cache, 'MISS', '2,049 inputs');
is_deeply([scalar embed_asked($mock->last_request)], [2049],
    '2,049 inputs: as a whole');


# who reads slowly, and who does not read on

my $client = $nginx->client;

$client->send($nginx->request_text(embed_call('openai', \@inputs, @LONG,
    prefix => '/fast')));
pause(0.3);

my $slow = $client->response;

is($slow->cache, 'HIT', 'a slow client');
is($slow->body, $miss->body, 'a slow client: all of it');
$client->close;

# nginx reloads meanwhile: the old worker leaves when all of it is sent

my $patient = $nginx->client;

$patient->send($nginx->request_text(embed_call('openai', \@inputs, @LONG,
    prefix => '/fast')));
pause(0.3);
ok($nginx->reload, 'reload');

my $kept = $patient->response;

is($kept->cache, 'HIT', 'reload: a hit');
ok($kept->body eq $miss->body, 'reload: all of it');
$patient->close;

for (1 .. 3) {
    my $gone = $nginx->client;

    $gone->send($nginx->request_text(embed_call('openai', \@inputs, @LONG,
        prefix => '/fast')));
    pause(0.1);
    $gone->close;
}

is(call(['input 1'], prefix => '/fast')->cache, 'HIT', 'and one after that');


# packed ones are unpacked on the way

my @packed = map { "packed $_" } 1 .. 300;
my %packed = (prefix => '/packed', embed => { dim => 384, cheap => 1 });
my $first = call(\@packed, %packed);

ok(stored(\@packed, %packed), 'packed: stored');
ok($nginx->wait_until(sub { (call([$packed[299]], %packed, headers =>
    { 'Accept-Encoding' => 'gzip' })->header('Content-Encoding') // '')
    eq 'gzip' }), 'packed: packed');
is_hit(call(\@packed, %packed), $first, 'packed');


# a zone that cannot hold half of an answer: it passes as it is

my $large = call(\@inputs, prefix => '/small');

is($large->cache, 'MISS', 'a small zone');
is_unharmed($large, 'a small zone');
is(call(['input 1'], prefix => '/small')->cache, 'MISS',
    'a small zone: nothing is stored');

my $known = call(\@inputs, prefix => '/small');

is($known->cache, 'MISS', 'a small zone: not asked for in part');
is(scalar(embed_asked($mock->last_request)), 2048,
    'a small zone: but for all of it');
is_unharmed($known, 'a small zone, one input known');

finish();
