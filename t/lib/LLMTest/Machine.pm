package LLMTest::Machine;

# An nginx with a Redis behind its zone, one of several that share it.

use strict;
use warnings;

use parent 'Exporter';

use LLMTest;

our @EXPORT = qw(machine settle state_of counter stored);

my $FORMAT = join '', map { ", \"$_\": \"\$llm_cache_$_\"" } qw(status tier
    reason redis_time);

# parameters of llm_cache_redis behind the URL, "param"; "quick" for its own
# timeouts: others have time on a machine that is busy

sub machine {
    my ($url, %option) = @_;

    my $param = join ' ', grep { defined } $option{param}, $option{quick}
        ? () : 'timeout=3s connect_timeout=3s';

    return nginx(server => "llm_cache on;\nllm_cache_redis $url $param;\n"
        . "location /redis/ {\nreturn 200 '{\"pid\": \"\$pid\", \"state\": "
        . '"$llm_cache_redis_state"' . join('', map { ", \"$_\": "
        . "\"\$llm_cache_redis_$_\"" } qw(lookups hits misses errors timeouts
        skipped damaged stores store_errors dropped invalidations unverified
        connections failures opened)) . "}';\n}\n"
        . ($option{server} // ''), format => $FORMAT,
        map { defined $option{$_} ? ($_ => $option{$_}) : () } qw(http
        location main workers allow servers level));
}

sub state_of { my ($nginx) = @_; return $nginx->get('/redis/')->json }

sub counter { my ($nginx, $name) = @_; return state_of($nginx)->{$name} }

# until Redis tells all workers of changes, and for what is stored since

sub settle {
    my ($nginx, $state) = @_;

    $state //= 'tracking';

    my %there;

    ok($nginx->wait_until(sub {
        my $now = state_of($nginx);

        $there{$now->{pid}} = $now->{state} eq $state;
        return !grep { !$there{$_} } $nginx->worker_pids;
    }), "the state is $state") or diag(to_json(state_of($nginx)));

    pause(0.1);

    return;
}

# whether the answer arrives in Redis

sub stored {
    my ($redis, $key) = @_;

    my $there = $redis->wait_for(sub { $redis->command('EXISTS', $key) });

    # and until all have been told

    pause(0.1);

    return $there;
}

1;
