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
    http => 'llm_cache_zone zone=small:1m;', level => 'notice',
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

# killed in the middle of storing, of serving, and of nothing

for my $round (1 .. 3) {
    my $storing = $nginx->client;

    $storing->send($nginx->request_text(chat_uri(),
        chat("storing $round", stream => json_true),
        mock => { hold => [3, "store $round"] }));
    ok($storing->received(qr/data: /), "storing, $round: begun");

    my @pids = $nginx->worker_pids;

    $nginx->kill_worker(0);
    $nginx->kill_worker(0);

    my $answer = $storing->response;

    ok(!$answer->complete, "storing, $round: cut off");
    ok(!$answer->timed_out, "storing, $round: not stuck");
    $mock->release("store $round");

    my @again = map { $nginx->post(chat_uri(), chat("storing $round",
        stream => json_true)) } 1, 2;

    ok($again[1]->complete, "storing, $round: answered again");
    is($again[0]->cache, 'MISS', "storing, $round: no half answer");
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
