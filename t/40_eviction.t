# evict=cost gives up what saves least per byte, evict=lru what was not used
# for longest.  All answers of the mock cost the same number of tokens.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

mock();

sub post {
    my ($nginx, $prompt, $size) = @_;

    return $nginx->post(chat_uri(), chat($prompt),
        mock => { size => $size });
}

sub there {
    my ($nginx, @prompts) = @_;

    return scalar grep { $nginx->post(chat_uri(), chat($_), headers => {
        'Cache-Control' => 'only-if-cached' })->status == 200 } @prompts;
}

# small answers, never asked for again, and then many large ones

my %left;

for my $policy ('', 'evict=cost', 'evict=lru') {
    my $nginx = nginx(location => 'llm_cache on;',
        http => "llm_cache_zone zone=one:1m $policy;");
    my @small = map { "small $_" } 1 .. 50;

    post($nginx, $_, 100) for @small;
    is(there($nginx, @small), 50, "$policy: all are there at first");
    post($nginx, "large $_", 20_000) for 1 .. 100;

    $left{$policy} = there($nginx, @small);
    is(there($nginx, 'large 1'), 0, "$policy: a large one is gone");
    is(there($nginx, 'large 100'), 1, "$policy: the latest is there");
}

is($left{'evict=cost'}, 50, 'cost: the small ones stay');
is($left{''}, 50, 'cost is the default');
is($left{'evict=lru'}, 0, 'lru: the small ones go');

# what is asked for again stays, under either

for my $policy ('evict=cost', 'evict=lru') {
    my $nginx = nginx(location => 'llm_cache on;',
        http => "llm_cache_zone zone=one:1m $policy;");
    my $first = post($nginx, 'popular', 5000);

    is_miss($first, $policy);

    for my $number (1 .. 300) {
        post($nginx, "other $number", 5000);
        post($nginx, 'popular', 5000) if $number % 20 == 0;
    }

    is_hit(post($nginx, 'popular', 5000), $first, "$policy: popular");
    is(there($nginx, 'other 1'), 0, "$policy: what nobody asked for");
}

# what was popular long ago goes in the end

my $nginx = nginx(location => 'llm_cache on;',
    http => 'llm_cache_zone zone=one:512k;');

post($nginx, 'once popular', 5000) for 1 .. 10;
post($nginx, "news $_", 5000) for 1 .. 150;
is(there($nginx, 'once popular'), 1, 'popularity keeps for a while');
post($nginx, "more news $_", 5000) for 1 .. 2000;
is(there($nginx, 'once popular'), 0, 'popularity wears off');

# either can take the place of the other

for my $change (['evict=cost', 'evict=lru'], ['evict=lru', 'evict=cost']) {
    my ($before, $after) = @$change;
    my $name = "$after after $before";
    my %conf = map { $_ => { location => 'llm_cache on;',
        http => "llm_cache_zone zone=one:512k $_;" } } @$change;

    $nginx = nginx(%{$conf{$before}});
    post($nginx, "before $_", 5000) for 1 .. 150;
    ok($nginx->reload(%{$conf{$after}}), "$name: reload");
    post($nginx, "after $_", 5000) for 1 .. 50;
    is(there($nginx, map { "after $_" } 31 .. 50), 20, "$name: the latest");
    is(there($nginx, map { "before $_" } 1 .. 100), 0, "$name: the first");
}

finish();
