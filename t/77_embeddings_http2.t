# llm_cache_embeddings: many streams of one HTTP/2 connection, some slow, some
# reset.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;
use LLMTest::Embeddings;
use LLMTest::Http2;

my $mock = mock();

my $nginx = nginx(listen => 'http2', location => 'llm_cache on;');

my %TOKEN = (authorization => 'Bearer sk-test');
my @LONG = (body => { encoding_format => 'base64' });
my %EMBED = (dim => 384, cheap => 1);

sub ask {
    my ($connection, $inputs, %mock) = @_;

    my ($uri, $body) = embed_call('openai', $inputs, @LONG);

    return $connection->request($uri, to_json($body), %TOKEN,
        'x-mock' => to_json({ embed => \%EMBED, %mock }));
}

my @inputs = map { "input $_" } 1 .. 300;
my $connection = LLMTest::Http2->new($nginx->port);

my ($miss) = $connection->bodies(ask($connection, \@inputs));

is(() = $miss =~ /"embedding":"/g, 300, 'a miss');

# what is long is stored in the rounds after its end

pause(1);

# each stream has the inputs in an order of its own

my @orders = map { my $n = $_; [map { $inputs[($_ + $n) % 300] } 0 .. 299] }
    1 .. 6;
my @bodies = $connection->bodies(map { ask($connection, $_) } @orders);
my @vectors = $miss =~ /"embedding":"([^"]*)"/g;

for my $n (1 .. 6) {
    ok(join(' ', $bodies[$n - 1] =~ /"embedding":"([^"]*)"/g) eq
        join(' ', map { $vectors[($_ + $n) % 300] } 0 .. 299),
        "hits at a time: $n");
}

is($mock->count, 1, 'hits at a time: no call');

# partial ones, on slow connections too

for my $window (1 << 30, 20_000) {
    my $slow = LLMTest::Http2->new($nginx->port, window => $window);
    my $stream = ask($slow, [@inputs, "new $window"]);

    pause(0.5);
    $slow->grant($stream, 1 << 29);

    my ($partial) = $slow->bodies($stream);

    ok(join(' ', ($partial =~ /"embedding":"([^"]*)"/g)[0 .. 299]) eq
        join(' ', @vectors), "partial, a window of $window");
    is_deeply([embed_asked($mock->last_request)], ["new $window"],
        "partial, a window of $window: what is asked for");
}

# a client that leaves while its inputs are fetched

my $gone = LLMTest::Http2->new($nginx->port);

ask($gone, [@inputs, 'gone'], gate => 'gone');
ok($mock->wait_for(sub { $mock->waiting('gone') }), 'leaving: a call');
undef $gone;
ok($mock->wait_for(sub { $mock->aborted }), 'leaving: it is given up');

my ($after) = $connection->bodies(ask($connection, \@inputs));

ok($after eq $miss, 'leaving: the others go on');

finish();
