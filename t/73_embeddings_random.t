# llm_cache_embeddings: random batches that overlap, with duplicates, from a
# provider that answers in any order.  TEST_SEED repeats a run.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;
use LLMTest::Embeddings;

my $seed = $ENV{TEST_SEED} // int rand 1e9;
my $rounds = $ENV{TEST_ROUNDS} // 30;

note("TEST_SEED=$seed");
srand $seed;

my $mock = mock();

my $nginx = nginx(workers => 2, http => 'llm_cache_zone zone=a:16m shards=2;'
    . 'llm_cache_zone zone=packed:16m compress=on;', server => <<'END');
    llm_cache on zone=a;
    location /packed/ {
        llm_cache on zone=packed;
        proxy_pass http://llm/;
    }
    location /unlocked/ {
        llm_cache_lock off;
        proxy_pass http://llm/;
    }
END

sub vectors_of {
    my ($api, $inputs, %option) = @_;

    my $answer = $nginx->post(embed_call($api, $inputs, %option,
        headers => { 'Cache-Control' => 'no-cache, no-store' }));

    return embed_vectors($answer->json);
}

sub count_in { my %n; $n{$_}++ for @_; return \%n }

sub random_batches {
    my ($name, $api, $texts, %option) = @_;

    my %vector;

    @vector{@$texts} = vectors_of($api, $texts, %option);

    my $from = $mock->count;
    my (%known, @wrong);

    for my $round (1 .. $rounds) {
        my @batch = map { $texts->[rand @$texts] } 1 .. 1 + rand 12;
        my %new = map { $_ => 1 } grep { !$known{$_} } @batch;
        my $old = grep { $known{$_} } @batch;
        my $status = !%new ? 'HIT' : $old ? 'PARTIAL' : 'MISS';
        my @call = embed_call($api, \@batch, %option, embed =>
            { %{$option{embed} // {}}, $api eq 'openai'
            ? (shuffle => 1 + int rand 1e6) : () });
        my $answer = $nginx->post(@call);
        my @vectors = embed_vectors($answer->json);

        # a miss is the provider's own answer, in its own order

        @vectors = @vectors[map { $_->[0] } sort { $a->[1] <=> $b->[1] }
            map { [$_, (embed_indexes($answer->json))[$_]] } 0 .. $#vectors]
            if $api eq 'openai';

        push @wrong, "$round: " . to_json([\@batch, $answer->cache, $status,
            $answer->body]) if $answer->cache ne $status
            || to_json(\@vectors) ne to_json([@vector{@batch}])
            || ($status ne 'MISS' && $api eq 'openai' && to_json([
            embed_indexes($answer->json)]) ne to_json([0 .. $#batch]));

        $known{$_} = 1 for @batch;
    }

    my $asked = count_in(map { embed_asked($_) } $mock->requests($from));

    is(scalar @wrong, 0, "$name: every vector is its input's")
        or diag(join "\n", @wrong > 3 ? @wrong[0 .. 2] : @wrong);
    is_deeply($asked, count_in(keys %known),
        "$name: the upstream is asked for each input once");

    return;
}

for my $api (embed_apis()) {
    random_batches($api, $api, [map { "$api $_" } 1 .. 40]);
    random_batches("$api, packed", $api, [map { "$api $_" } 1 .. 30],
        prefix => '/packed', embed => { dim => 120 });
    random_batches("$api, unlocked", $api, [map { "u $api $_" } 1 .. 20],
        prefix => '/unlocked');
}

random_batches('base64', 'openai', [map { "b \x{e9}\"\\ $_" } 1 .. 30],
    body => { encoding_format => 'base64' });

finish();
