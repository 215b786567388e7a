# A zone of several shards: each its own pool with its own lock.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $mock = mock();
my %conf = (mock => $mock, workers => 2, location => 'llm_cache on;',
    level => 'notice', http => 'llm_cache_zone zone=one:4m shards=4;');
my $nginx = nginx(%conf);

sub post { return $nginx->post(chat_uri(), chat($_[0])) }

my %first = map { $_ => post("entry $_") } 1 .. 200;

is(scalar(grep { $_->cache eq 'MISS' } values %first), 200, 'misses');

sub kept {
    return scalar grep {
        my $answer = post("entry $_");
        $answer->cache eq 'HIT' && $answer->body eq $first{$_}->body;
    } keys %first;
}

is(kept(), 200, 'all entries are found again');
ok($nginx->reload, 'reload');
is(kept(), 200, 'entries survive in all shards');

# every shard evicts for itself

my $whole = 0;

for my $number (1 .. 1500) {
    my $answer = $nginx->post(chat_uri(), chat("fill $number"),
        mock => { size => 4000 });

    $whole++ if $answer->complete && $answer->status == 200;
}

is($whole, 1500, 'more than there is room for');

my $held = grep { $nginx->post(chat_uri(), chat("fill $_"), headers => {
    'Cache-Control' => 'only-if-cached' })->status == 200 } 1 .. 1500;

cmp_ok($held, '>', 400, 'the zone is used well');
cmp_ok($held, '<', 1100, 'the zone is full');

# another number of shards is another zone

ok($nginx->reload(%conf, http => 'llm_cache_zone zone=one:4m shards=2;'),
    'reload with another number of shards');
is_miss(post('entry 1'), 'another number of shards starts empty');
is_cached($nginx, 'another number of shards', chat_uri(), chat('new'));

finish();
