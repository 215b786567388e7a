# Workers killed at any moment under load: no wrong answer, no stuck request,
# a zone that the others can use, and no complaint but nginx's own.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $KILLS = 50;

my $mock = mock();

my $nginx = nginx(location => 'llm_cache on;', workers => 2,
    http => 'llm_cache_zone zone=small:1m evict=lru;', listen => 'sndbuf=16k',
    level => 'notice',
    allow => qr/process \d+ exited on signal 9|zone "\w+" was locked by \d+/);

my @load = map { load($nginx, $_) } 1 .. 4;
my $killed = 0;

for my $number (1 .. $KILLS) {
    pause(0.02 + rand 0.06);
    $killed++ if $nginx->kill_worker($number);
}

is($killed, $KILLS, 'every killed worker is replaced');

my %sum;

for my $load (@load) {
    my $report = $load->();

    is(join(', ', @{$report->{$_}}), '', "none $_") for qw(stuck wrong);
    $sum{$_} += $report->{$_} for qw(hit miss);
    $sum{failed} += @{$report->{failed}};
}

cmp_ok($sum{$_}, '>', 20, "$_ among them") for qw(hit miss);
cmp_ok($sum{failed}, '<=', 4 * $KILLS,
    'only requests of killed workers failed');

# killed in the middle of storing, and of serving

for my $round (1 .. 3) {
    my @stream = (chat_uri(), chat("storing $round", stream => json_true));
    my $storing = $nginx->client;

    $storing->send($nginx->request_text(@stream,
        mock => { hold => [3, "store $round"] }));
    ok($storing->received(qr/data: /), "storing, $round: begun");

    my $long = $nginx->post(chat_uri(), chat("serving $round"),
        mock => { size => 500_000 });
    my $serving = $nginx->client;

    pause(0.05);
    $serving->send($nginx->request_text(chat_uri(),
        chat("serving $round")));
    ok($serving->received(qr/^X-LLM-Cache: HIT/m), "serving, $round: begun");

    $nginx->kill_worker(0) for 1, 2;

    my ($stored, $served) = map { $_->response } $storing, $serving;

    ok(!$stored->complete && !$stored->timed_out,
        "storing, $round: cut off");
    ok(!$served->complete && !$served->timed_out,
        "serving, $round: cut off");
    is($served->body, substr($long->body, 0, length $served->body),
        "serving, $round: its own bytes so far");
    $mock->release("store $round");

    my $again = $nginx->post(@stream);

    is_miss($again, "storing, $round: no half answer");
    is_hit($nginx->post(chat_uri(), chat("serving $round")), $long,
        "serving, $round: again");
}

# afterwards the zone has all of its room: nothing is held for the dead

my @filling = map { $nginx->post(chat_uri(), chat("filling $_"),
    mock => { size => 4000 }) } 1 .. 200;

is(scalar(grep { $_->complete && $_->cache eq 'MISS' } @filling), 200,
    'afterwards: answers');
pause(0.1);

my $held = grep { $nginx->post(chat_uri(), chat("filling $_"), headers => {
    'Cache-Control' => 'only-if-cached' })->status == 200 } 101 .. 200;

is($held, 100, 'afterwards: the zone has its room');

finish();
