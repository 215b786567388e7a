# Workers killed while they pack: at random under load, and at each step of it.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use File::Temp qw(tempdir);

use LLMTest;

my $KILLS = 30;
my %GZIP = ('Accept-Encoding' => 'gzip');

mock();

my %conf = (location => 'llm_cache on;', workers => 2, level => 'notice',
    allow => qr/process \d+ exited on signal 9|zone "\w+" was locked by \d+/);
my $nginx = nginx(%conf,
    http => 'llm_cache_zone zone=busy:1m evict=lru compress=on;');

my @load = map { load($nginx, $_) } 1 .. 3;
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
cmp_ok($sum{failed}, '<=', 3 * $KILLS,
    'only requests of killed workers failed');

sub store {
    my ($server, $prompt) = @_;

    return $server->post(chat_uri(), chat($prompt),
        mock => { size => 30_000 });
}

sub is_packed {
    my ($server, $prompt) = @_;

    return $server->wait_until(sub { ($server->post(chat_uri(), chat($prompt),
        headers => { %GZIP, 'Cache-Control' => 'only-if-cached' })
        ->header('Content-Encoding') // '') eq 'gzip' });
}

sub works {
    my ($server, $name) = @_;

    my $first = store($server, $name);

    ok(is_packed($server, $name), "$name: packs again");
    is_hit($server->post(chat_uri(), chat($name)), $first, $name);

    return;
}

works($nginx, 'afterwards');

# the trap kills at the first instruction of a function, wherever it is mapped

my $trap = tempdir(CLEANUP => 1) . '/die_at';
my $traps = system("cc -std=gnu11 -o $trap $FindBin::Bin/lib/die_at.c") == 0;

sub address {
    my ($pid, $symbol) = @_;

    open my $maps, '<', "/proc/$pid/maps" or return;

    no warnings 'portable';

    for my $line (<$maps>) {
        my ($start, $path) = $line
            =~ m{^([0-9a-f]+)-\S+ \S+ 0+ \S+ \S+\s+(/\S+)} or next;
        my ($found) = grep { / T \Q$symbol\E(?:@|$)/ }
            map { split /\n/ } `nm -D $path 2>/dev/null; nm $path 2>/dev/null`;
        my $offset = hex((split ' ', $found // '')[0] // next);

        return $offset < hex $start ? $offset + hex $start : $offset;
    }

    return;
}

sub arm {
    my ($pid, $symbol) = @_;

    my $where = address($pid, $symbol) // return;

    open my $output, '-|', $trap, $pid, sprintf '%x', $where or return;

    return (<$output> // '') eq "armed\n" ? $output : undef;
}

# what was cached before is there still, unless the index was being changed

for my $symbol (qw(deflate llm_packer_end ngx_http_llm_cache_zone_swap
    ngx_http_llm_cache_shard_swap))
{
    my $server = nginx(%conf, workers => 1,
        http => 'llm_cache_zone zone=one:1m compress=on;');
    my $kept = store($server, 'kept');

    is_packed($server, 'kept');

    my ($victim) = $server->worker_pids;
    my $output = $traps ? arm($victim, $symbol) : undef;

    SKIP: {
        skip "processes cannot be traced here: $symbol", 1 if !$output;

        my $stored = store($server, 'stored');

        is(length $stored->json->{choices}[0]{message}{content}, 30_000,
            "$symbol: the response came before");
        is(scalar <$output>, "killed\n", "$symbol: a worker died there");
        ok($server->wait_until(sub { my ($pid) = $server->worker_pids;
            ($pid // $victim) != $victim }), "$symbol: replaced");

        if ($symbol =~ /shard/) {
            is_miss($server->post(chat_uri(), chat('kept')),
                "$symbol: the zone starts empty");

        } else {
            is_hit($server->post(chat_uri(), chat('kept')), $kept,
                "$symbol: what was packed");
            is_hit($server->post(chat_uri(), chat('stored')), $stored,
                "$symbol: what was being packed");
        }

        works($server, "after $symbol");

        # the half made record does not stay: there is room for all of these

        my @filling = map { store($server, "filling $_") } 1 .. 15;

        is(scalar(grep { is_packed($server, "filling $_") } 1 .. 15), 15,
            "$symbol: room");
    }
}

finish();
