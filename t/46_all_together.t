# Shards, packed bodies and a state file at once, while workers and the process
# that writes the file are killed: no wrong answer, no stuck request, and a
# file that the next nginx loads.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $KILLS = 30;

my $mock = mock();

my $nginx = nginx(location => 'llm_cache on;', workers => 2,
    http => 'llm_cache_zone zone=all:4m shards=2 compress=on evict=lru'
    . ' state=logs/all.state state_interval=1s;',
    listen => 'sndbuf=16k', level => 'notice',
    allow => qr/ exited on signal 9|zone "\w+(?:#\d)?" was locked by/);

my @load = map { load($nginx, $_) } 1 .. 3;
my $killed = 0;

for my $number (1 .. $KILLS) {
    pause(0.02 + rand 0.08);
    $killed++ if $nginx->kill_worker($number);

    # the manager is the one child of the master's that is no worker

    my %worker = map { $_ => 1 } $nginx->worker_pids;
    my $master = $nginx->{master};

    open my $in, '<', "/proc/$master/task/$master/children" or next;

    for my $pid (split ' ', <$in> // '') {
        kill 'KILL', $pid if !$worker{$pid} && $number % 5 == 0;
    }
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
cmp_ok($sum{failed}, '<=', 3 * $KILLS,
    'only requests of killed workers failed');

# what is stored last is there after a restart

my %first = map { $_ => $nginx->post(chat_uri(), chat("last $_",
    stream => $_ % 2 ? json_true : json_false)) } 1 .. 8;

$nginx->quit('QUIT');
ok($nginx->start, 'another start');
ok($nginx->wait_until(sub {
    $nginx->error_log =~ /answers loaded from|starts empty: state/ }),
    'the file is loaded');

for my $number (1 .. 8) {
    is_hit($nginx->post(chat_uri(), chat("last $number",
        stream => $number % 2 ? json_true : json_false)), $first{$number},
        "after the restart, $number");
}

finish();
