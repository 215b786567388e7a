# Nothing is lost: after a load on two workers, with reloads and a worker that
# is killed, the counters are the sums over the access log.  FULL=1: 100,000
# requests.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $REQUESTS = $ENV{FULL} ? 100_000 : 3_000;

my $mock = mock();

my $nginx = nginx(location => <<'END', server => <<'END2', workers => 2,
    llm_cache on;
    llm_cache_price gpt-4o-mini 0.15 0.6;
END
    location /api { access_log off; llm_cache_api; }
END2
    http => 'llm_cache_zone zone=small:1m evict=lru;', level => 'notice',
    allow => qr/process \d+ exited on signal 9|zone "\w+" was locked by \d+/);

sub zone { return from_json($nginx->get('/api/status')->body)->{zones}[0] }

sub requests {
    my $requests = zone()->{requests};
    my $sum = 0;

    $sum += $_ for values %$requests;

    return $sum;
}

my @load = map { load($nginx, $_) } 1 .. 4;

for my $part (1 .. 8) {
    pause(0.1) while requests() < $REQUESTS * $part / 9;
    $part % 2 ? ok($nginx->reload, "reload, $part")
        : ok($nginx->kill_worker($part), "a worker killed, $part");
}

pause(0.1) while requests() < $REQUESTS;

my %seen;

for my $load (@load) {
    my $report = $load->();

    is(join(', ', @{$report->{$_}}), '', "none $_") for qw(stuck wrong);
    $seen{$_} += $report->{$_} for qw(hit miss);
}

$nginx->wait_until(sub { !$nginx->old_worker_pids });

my (%log, $before);

do {
    $before = $log{n} // -1;
    %log = (n => 0, prompt => 0, completion => 0, cost => 0);

    for my $line ($nginx->access_log) {
        $log{n}++;
        $log{status}{$line->{status}}++;
        $log{reason}{$line->{reason}}++ if $line->{reason} ne '';

        if ($line->{status} =~ /^(?:HIT|SHARED)$/) {
            $log{tier}{$line->{tier} || 'flight'}++;
            $log{prompt} += $line->{prompt_tokens} || 0;
            $log{completion} += $line->{completion_tokens} || 0;
            $log{cost} += $line->{saved_cost};
        }
    }
} while ($log{n} != $before);

my $zone = zone();

delete $zone->{requests}{$_} for grep { !$zone->{requests}{$_} }
    keys %{$zone->{requests}};

cmp_ok($log{n}, '>=', $REQUESTS, 'there were enough requests');
is_deeply($zone->{requests}, $log{status}, 'requests by status');
is_deeply($zone->{refused}, $log{reason} // {}, 'reasons');
is($zone->{hits}{$_}{same} + $zone->{hits}{$_}{converted},
    $log{tier}{$_} // 0, "hits, $_") for qw(memory flight);
is($zone->{saved}{prompt_tokens}, $log{prompt}, 'tokens of prompts');
is($zone->{saved}{completion_tokens}, $log{completion},
    'tokens of answers');
is(sprintf('%.9f', $zone->{saved}{cost}), sprintf('%.9f', $log{cost}),
    'cost');
is($zone->{histograms}{age_seconds}{count}, $log{tier}{memory}, 'ages');
cmp_ok($zone->{requests}{$_}, '>=', $seen{lc $_}, "no fewer $_ than seen")
    for qw(HIT MISS);

# what is fetched in the background counts as fetched

$nginx = nginx(location => <<'END', server =>
    llm_cache on;
    llm_cache_valid 1s;
    llm_cache_use_stale updating;
    llm_cache_background_update on;
    llm_cache_price gpt-4o-mini 0.15 0.6;
END
    'location /api { llm_cache_api; }');

sub refreshed { return $nginx->post(chat_uri(), chat('refreshed'),
    mock => { usage => [$_[0], 7] }) }

refreshed(100);
pause(2.1);
is(refreshed(30)->cache, 'UPDATING', 'a stale answer');
ok($nginx->wait_until(sub { zone()->{fetched}{prompt_tokens} != 100 }),
    'its refresh counts');
$zone = zone();
is($zone->{stored}, 2, 'both are stored');
is($zone->{fetched}{prompt_tokens}, 130, 'both were fetched: prompts');
is($zone->{fetched}{completion_tokens}, 14, 'both were fetched: answers');
is(sprintf('%.9f', $zone->{fetched}{cost}), sprintf('%.9f',
    (130 * 0.15 + 14 * 0.6) / 1e6), 'both were fetched: cost');

finish();
