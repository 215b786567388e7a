#!/usr/bin/perl

# Makes of samples.tsv and machine.tsv in a directory the table that is
# printed, and results.json.
#
#   report.pl DIRECTORY

use strict;
use warnings;

use JSON::PP ();

my $dir = shift // die "usage: report.pl DIRECTORY\n";

# a worker that is idle for more than this share of the time was not the limit
my $BUSY = 0.9;

# the measured contender, then those it is held against with the goals; "free"
# rows call the upstream

my @rows = (
    { id => 'hit_small', title => 'hit: 0.2 KB request, 1.7 KB answer',
        ours => 'llm_cache', peers => [[return => 0.90],
            ['return_headers'], [proxy_cache => 1.6], ['proxy_cache_open'],
            ['lua'], ['varnish']] },
    { id => 'hit_large', title => 'hit: 34 KB request, 1.7 KB answer',
        ours => 'llm_cache', peers => [[return => 0.75],
            [proxy_cache => 7], ['lua'], [varnish => 3]] },
    { id => 'hit_stream', title => 'hit: 115 KB recorded stream',
        ours => 'llm_cache', peers => [[static => 1.0],
            ['static_open']] },
    { id => 'packed_small', title => 'compress=on: hit, 1.7 KB answer',
        ours => 'packed', peers => [[unpacked => 0.8], ['packed_gzip']] },
    { id => 'packed_long', title => 'compress=on: hit, 6 KB answer',
        ours => 'packed', peers => [['unpacked'], ['packed_gzip']] },
    { id => 'packed_stream', title => 'compress=on: hit, 115 KB stream',
        ours => 'packed', peers => [['unpacked'], ['packed_gzip']] },
    { id => 'canon_34k', title => 'key: new spelling, 34 KB',
        ours => 'module', rate => 300, peers => [['reference']] },
    { id => 'canon_34k_other', title => 'key: the same, spaced and escaped',
        ours => 'module', rate => 300, peers => [['reference']] },
    { id => 'canon_1m', title => 'key: new spelling, 1 MB',
        ours => 'module', rate => 300, peers => [['reference']] },
    { id => 'miss', title => 'miss with storing: 34 KB request', free => 1,
        ours => 'llm_cache', peers => [[proxy_pass => 0.85],
            ['proxy_pass_file']] },
    { id => 'off_proxy', title => 'module loaded, off: proxy_pass', free => 1,
        ours => 'off', peers => [[without => 0.98]] },
    { id => 'off_return', title => 'module loaded, off: return',
        ours => 'off', peers => [[without => 0.98]] },
    { id => 'lookup', title => 'look-up among many answers',
        ours => 'many', peers => [[few => 0.90]] },
    { id => 'workers', title => 'hits of two workers',
        ours => 'two', workers => 2, peers => [[one => 1.9]] },
);

# of shared flights; ms at most, and how many have to get the same bytes

my @flights = (
    { id => 'flight_lag', title => 'events of 100 followers behind the leader',
        goal => 5, equal => 100 },
    { id => 'flight_calls', title => '1,000 equal requests at once',
        equal => 1000 },
);

my %label = (
    llm_cache   => 'llm_cache',
    return      => 'nginx return 200 (L1)',
    return_headers => '  with the headers of a hit',
    proxy_cache => 'nginx proxy_cache, $request_body',
    proxy_cache_open => '  with open_file_cache',
    lua         => 'nginx Lua, shared dictionary',
    varnish     => 'Varnish, bodyaccess',
    packed      => 'compress=on, client without gzip',
    packed_gzip => 'compress=on, client with gzip',
    unpacked    => 'compress=off',
    static      => 'nginx, static file',
    static_open => '  with open_file_cache',
    module      => 'llm_body_read()',
    reference   => 'by documents (jansson)',
    proxy_pass  => 'nginx proxy_pass (L2)',
    proxy_pass_file => '  with client_body_buffer_size 16k',
    off         => 'llm_cache off',
    without     => 'nginx without the module',
    few         => '1,000 entries',
    two         => 'two workers',
    one         => 'one worker',
);


sub median
{
    my @sorted = sort { $a <=> $b } grep { defined } @_;

    return undef if !@sorted;
    return ($sorted[$#sorted / 2] + $sorted[@sorted / 2]) / 2;
}


sub lines
{
    my ($name) = @_;

    open my $file, '<', "$dir/$name" or die "$dir/$name: $!\n";

    return map { chomp; [split /\t/] } <$file>;
}


my %machine = map { $_->[0] => $_->[1] } lines('machine.tsv');

$label{many} = commas($machine{entries}) . ' entries';

sub commas
{
    my $text = sprintf '%.0f', shift;

    1 while $text =~ s/^(\d+)(\d{3})/$1,$2/;

    return $text;
}


# row => contender => samples

sub read_samples
{
    my %samples;

    for (lines('samples.tsv')) {
        my ($row, $name, @value) = @$_;
        my $to = $samples{$row}{$name} //= { rates => [], costs => [],
            busy => [], p99 => [], errors => 0, called => 0, requests => 0 };

        if ($value[0] eq 'missing') {
            $to->{missing} = $value[1];

        } elsif ($value[0] eq 'rate') {
            push @{$to->{rates}}, $value[1] / 1e6;

        } elsif ($value[0] eq 'latency') {
            push @{$to->{latencies}}, [@value[1 .. $#value]];

        } elsif ($value[0] =~ /^(?:lag|calls)$/) {
            push @{$to->{flights}}, [@value[1 .. $#value]];

        } else {
            my (undef, $requests, $seconds, $used, $errors, $p99, $called) =
                @value;

            push @{$to->{rates}}, $requests / $seconds;
            push @{$to->{costs}}, $requests ? $used / $requests * 1e6 : undef;
            push @{$to->{busy}}, $used / $seconds;
            push @{$to->{p99}}, $p99 / 1000;

            $to->{requests} += $requests;
            $to->{errors} += $errors;
            $to->{called} += $called;
        }
    }

    return \%samples;
}


sub summary
{
    my ($row, $name, $sample) = @_;

    return { name => $name, label => $label{$name},
        missing => $sample->{missing} } if $sample->{missing};

    my %all = (name => $name, label => $label{$name},
        rate => median(@{$sample->{rates}}),
        unit => $row->{rate} ? 'MB/s' : 'requests/s',
        rates => $sample->{rates});

    return \%all if $row->{rate};

    $all{processor_us} = median(@{$sample->{costs}});
    $all{busy} = median(@{$sample->{busy}});
    $all{p99_ms} = median(@{$sample->{p99}});
    $all{fault} = "$sample->{errors} errors" if $sample->{errors};
    $all{fault} = "$sample->{called} upstream calls"
        if $sample->{called} && !$row->{free};
    $all{fault} = 'hits among the misses'
        if $row->{free} && $sample->{called} < $sample->{requests};

    return \%all;
}


# of one round with the same round of the other, so that what disturbs both
# does not count

sub paired
{
    my ($ours, $theirs) = @_;

    return median(map { $theirs->[$_] && defined $ours->[$_]
        ? $ours->[$_] / $theirs->[$_] : undef } 0 .. $#$theirs);
}


sub held_against
{
    my ($row, $samples, $us, $peer, $goal) = @_;

    my ($ours, $theirs) = @{$samples}{$row->{ours}, $peer->{name}};

    $peer->{ratio} = paired($ours->{rates}, $theirs->{rates});

    return if $row->{rate};

    $peer->{ratio_by_processor} = paired($theirs->{costs}, $ours->{costs});

    return if !defined $goal;

    my $limited = $us->{busy} >= $BUSY * ($row->{workers} // 1)
        && $peer->{busy} >= $BUSY;

    $peer->{goal} = $goal;
    $peer->{judged_by} = $limited ? 'rate' : 'processor';

    if ($row->{workers}) {
        return if !$limited || $machine{cores} < 4;
    }

    my $ratio = $peer->{$limited ? 'ratio' : 'ratio_by_processor'};

    $peer->{met} = defined $ratio && sprintf('%.2f', $ratio) >= $goal
        && !$us->{fault} && !$peer->{fault}
        ? JSON::PP::true : JSON::PP::false;

    return;
}


sub evaluate
{
    my ($row, $samples) = @_;

    my $us = summary($row, $row->{ours}, $samples->{$row->{ours}});
    my @contenders = ($us);

    if ($row->{rate}) {
        $us->{goal} = $row->{rate};
        $us->{met} = $us->{rate} >= $row->{rate} ? JSON::PP::true
            : JSON::PP::false;
    }

    for my $entry (@{$row->{peers}}) {
        my ($name, $goal) = @$entry;
        my $peer = summary($row, $name, $samples->{$name});

        held_against($row, $samples, $us, $peer, $goal)
            if !$peer->{missing};
        push @contenders, $peer;
    }

    return { id => $row->{id}, title => $row->{title},
        contenders => \@contenders };
}


sub number
{
    my ($format, $value) = @_;

    return defined $value ? sprintf $format, $value : '';
}


sub verdict
{
    my ($of) = @_;

    return '' if !defined $of->{goal};
    return 'not judged' if !defined $of->{met};
    return $of->{met} ? 'yes' : 'NO';
}


my $FORMAT = "%-38s %9s %5s %8s %7s %7s  %-7s %s\n";

sub print_row
{
    my ($row) = @_;

    printf $FORMAT, $row->{title}, map { $_ // '' } @{$row->{head}};

    for my $of (@{$row->{contenders}}) {
        if ($of->{missing}) {
            printf "  %-36s %9s\n", $of->{label}, $of->{missing};
            next;
        }

        my $star = ($of->{judged_by} // '') eq 'processor' ? '*' : '';

        printf $FORMAT, "  $of->{label}", $of->{unit} eq 'MB/s'
            ? number('%.1f', $of->{rate}) : commas($of->{rate}),
            number('%.0f%%', defined $of->{busy} ? 100 * $of->{busy} : undef),
            number('%.1f', $of->{processor_us}), number('%.2f', $of->{ratio}),
            number('%.2f', $of->{ratio_by_processor}) . $star,
            number('>= %g', $of->{goal}),
            verdict($of) . ($of->{fault} ? " ($of->{fault})" : '');
    }

    return;
}


# rounds of shared flights: each must be one call and equal answers

sub evaluate_flights
{
    my ($row, $rounds) = @_;

    my %all = (id => $row->{id}, title => $row->{title},
        rounds => scalar @$rounds,
        calls => (sort { $b <=> $a } map { $_->[0] } @$rounds)[0],
        equal => (sort { $a <=> $b } map { $_->[1] } @$rounds)[0]);

    my $met = $all{calls} == 1 && $all{equal} == $row->{equal};

    if ($row->{goal}) {
        @all{qw(p50_ms p99_ms longest_ms)} = map { my $at = $_;
            median(map { $_->[$at] / 1000 } @$rounds) } 3 .. 5;
        $all{goal} = $row->{goal};
        $met &&= $all{p99_ms} <= $row->{goal};
    }

    $all{met} = $met ? JSON::PP::true : JSON::PP::false;

    return \%all;
}


sub print_flights
{
    my ($row) = @_;

    printf "%-44s %6s %6s %7s %7s %7s  %-7s %s\n", $row->{title}, 'calls',
        'equal', map({ $row->{goal} ? $_ : '' } 'p50 ms', 'p99 ms', 'longest',
        'goal'), 'met';
    printf "%-44s %6d %6d %7s %7s %7s  %-7s %s\n", '  llm_cache',
        @{$row}{qw(calls equal)}, (map { number('%.2f', $row->{$_}) }
        qw(p50_ms p99_ms longest_ms)), number('<= %g', $row->{goal}),
        $row->{met} ? 'yes' : 'NO';

    return;
}


# the latency of a hit in Redis, and of a bare GET

sub evaluate_redis
{
    my ($samples) = @_;

    my %all = (id => 'redis', title => 'hit in Redis: 1.7 KB answer',
        goal => 1.3);

    return { %all, missing => $samples->{llm_cache}{missing} }
        if $samples->{llm_cache}{missing};

    for my $name (qw(llm_cache get)) {
        my $rounds = $samples->{$name}{latencies};

        @{$all{$name}}{qw(p50_ms p99_ms rate called)} = map { my $at = $_;
            median(map { $_->[$at] / ($at < 2 ? 1000 : 1) } @$rounds) } 0 .. 3;
    }

    $all{ratio} = $all{llm_cache}{p50_ms} / $all{get}{p50_ms};
    $all{met} = $all{ratio} <= $all{goal} ? JSON::PP::true : JSON::PP::false;

    return \%all;
}


sub print_redis
{
    my ($row) = @_;

    printf "\n%-38s %9s %8s %8s %7s  %-7s %s\n", $row->{title}, 'req/s',
        'p50 ms', 'p99 ms', 'ratio', 'goal', 'met';

    if ($row->{missing}) {
        printf "  %-36s %9s\n", 'llm_cache', $row->{missing};
        return;
    }

    for (['llm_cache', '  llm_cache'], ['get', '  redis-benchmark GET']) {
        my ($name, $title) = @$_;
        my $of = $row->{$name};

        printf "%-38s %9s %8.2f %8.2f %7s  %-7s %s\n", $title,
            commas($of->{rate}), @{$of}{qw(p50_ms p99_ms)}, $name eq 'get'
            ? (number('%.2f', $row->{ratio}), "<= $row->{goal}",
            $row->{met} ? 'yes' : 'NO') : ('', '', '');
    }

    printf "  (%d upstream calls)\n", $row->{llm_cache}{called}
        if $row->{llm_cache}{called};

    return;
}


my $samples = read_samples();
my @results = map { evaluate($_, $samples->{$_->{id}}) }
    grep { $samples->{$_->{id}} } @rows;

printf "\n%s, %d cores; nginx %s; %s\n", @machine{qw(processor cores nginx
    compiler)};
printf "%d rounds of %d seconds, %d connections, %s\n\n", @machine{qw(rounds
    seconds connections date)};

print "The machine was $machine{background} % busy before: these figures are",
    " disturbed.\n\n" if $machine{background} > 5;

for my $row (@results) {
    $row->{head} = $row->{contenders}[0]{unit} eq 'MB/s'
        ? ['MB/s', '', '', 'ratio', '', 'goal', 'met']
        : ['req/s', 'busy', 'us', 'ratio', 'by cpu', 'goal', 'met'];
    print_row($row);
    print "\n";
    delete $row->{head};
}

print "busy, us: processor time of the workers, in all and for a request\n",
    "ratio: of our rate to this one's; by cpu: of processor time, inverse\n",
    "* judged by processor time: the worker was not what limited the rate\n"
    if @results;
print "two workers: not judged, the load generator needs cores of its own\n"
    if $samples->{workers} && $machine{cores} < 4;

my @flown = map { evaluate_flights($_, $samples->{$_->{id}}{llm_cache}
    {flights}) } grep { $samples->{$_->{id}} } @flights;

for my $row (@flown) {
    print "\n";
    print_flights($row);
}

my @redis = $samples->{redis} ? evaluate_redis($samples->{redis}) : ();

print_redis($_) for @redis;

open my $file, '>', "$dir/results.json" or die "$dir/results.json: $!\n";
print {$file} JSON::PP->new->utf8->canonical->pretty->encode({
    machine => \%machine, rows => \@results, flights => \@flown,
    redis => \@redis });
close $file or die "$dir/results.json: $!\n";
