# llm_cache observe: workers killed at any moment, inside the lock too, leave
# stores that the others can use and numbers that fit together.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use POSIX ();

use LLMTest;
use LLMTest::Trap;

# called under the lock, and only there
my $SYMBOL = 'llm_evict_priority';

my $mock = mock();
my $uri = chat_uri();
my $nginx = nginx(workers => 2, level => 'notice',
    location => 'llm_cache observe;', http => 'llm_cache_zone zone=one:1m;',
    server => 'location /cache-api { llm_cache_api; }',
    format => ', "observed": "$llm_cache_observed"',
    allow => qr/exited on signal 9|memory zone "[^"]*" was locked by/);

sub told { return $nginx->get('/cache-api')->json->{zones}[0]{observed} }

sub seen { my (@request) = @_; return
    $nginx->logged($nginx->post(@request))->{observed} }

# each of the answers takes this much

is(seen($uri, chat('first'), mock => { size => 2000 }), 'MISS', 'first');
pause(0.1);

my $size = told()->{memory_bytes}{held};

cmp_ok($size, '>', 2000, 'what one answer takes');

sub fits {
    my ($name) = @_;

    my $told = told();
    my @bad;

    for my $scope ($told, @{$told->{scopes}}{qw(credentials shared)}) {
        for my $state (qw(held evicted)) {
            my ($n, $bytes) = map { $scope->{$_}{$state} }
                qw(entries memory_bytes);

            push @bad, "$state: $n entries, $bytes bytes"
                if $bytes != $n * $size;
        }

        push @bad, 'more than the zone' if $scope->{memory_bytes}{held}
            > $told->{capacity_bytes};
    }

    return is("@bad", '', $name);
}

# processes that ask for what all ask for, and for what nobody else does

sub worker {
    my ($seed) = @_;

    my $pid = fork // die "fork: $!\n";

    return $pid if $pid;
    alarm 0;

    for my $number (1 .. 100_000) {
        my $what = $number % 2 ? $number % 40 : "$seed.$number";

        eval { $nginx->post($uri, chat(sprintf '%20s', $what),
            mock => { size => 2000 }) };
    }

    POSIX::_exit(0);
}

my @load = map { worker($_) } 1 .. 3;
my $killed = 0;

for my $number (1 .. 25) {
    pause(0.05 + rand 0.1);
    $killed++ if $nginx->kill_worker($number);
}

kill 'KILL', @load;
waitpid $_, 0 for @load;

is($killed, 25, 'every killed worker is replaced');
pause(0.3);
fits('after 25 deaths: entries and bytes fit together');
cmp_ok(told()->{requests}{HIT}, '>', 50, 'there were hits');
cmp_ok(told()->{evictions}, '>', 50, 'and evictions');

# one that dies inside the lock, as others may have done before

sub warnings { my $n = () = $nginx->error_log
    =~ /"one#observed": a worker died/g; return $n }

my $before = warnings();

my $trap = LLMTest::Trap->new;

SKIP: {
    my $victim = ($nginx->worker_pids)[0];
    my $output = $trap && $trap->arm($victim, $SYMBOL)
        or skip 'processes cannot be traced here', 1;

    for my $number (1 .. 500) {
        $nginx->post($uri, chat("lock $number"), mock => { size => 2000 });
        last if !grep { $_ == $victim } $nginx->worker_pids;
    }

    is(scalar <$output>, "killed\n", 'a worker died inside the lock');
    ok($nginx->wait_until(sub { $nginx->worker_pids == 2 }),
        'another one takes its place');

    is(seen($uri, chat('after 001'), mock => { size => 2000 }), 'MISS',
        'it starts empty');
    is(seen($uri, chat('after 001'), mock => { size => 2000 }), 'HIT',
        'and works on');

    is(warnings(), $before + 1, 'one warning');
    pause(0.1);
    cmp_ok(told()->{entries}{held}, '<', 20, 'few entries');
    cmp_ok(told()->{requests}{HIT}, '>', 50, 'the counters stay');
}

finish();
