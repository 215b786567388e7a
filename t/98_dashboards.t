# The dashboard and the alerts of examples/ name only what nginx tells: metrics
# and their labels.  promtool has its say where it is installed.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $root = "$FindBin::Bin/..";
my $mock = mock();

# a Redis that is not there has figures, too

my $nginx = nginx(location => 'llm_cache on; llm_cache_price * 1 1;'
    . 'llm_cache_redis redis://127.0.0.1:1; llm_cache_semantic on;',
    server => 'location /api { llm_cache_api; }'
    . 'location /observed/ { llm_cache observe; llm_cache_price * 1 1;'
    . ' proxy_pass http://llm/; }');

$nginx->post(chat_uri(), chat('a question')) for 1, 2;
$nginx->post('/observed' . chat_uri(), chat('a question')) for 1, 2;
$nginx->post(chat_uri(), chat('an error'), mock => { status => 500 });
$nginx->get('/v1/models');

# metric to its labels

my %exported;

ok($nginx->wait_until(sub {
    my $text = $nginx->get('/api/metrics')->body;

    for my $sample ($text =~ /^([a-z]\w*\{.*\}) \S+$/mg) {
        my ($name, $labels) = $sample =~ /^(\w+)\{(.*)\}$/;

        $exported{$name}{$_} = 1 for $labels =~ /(\w+)="/g;
    }

    return $exported{llm_cache_refused_total};
}), 'nginx tells metrics');


sub slurp {
    my ($file) = @_;

    open my $handle, '<', "$root/$file" or die "$file: $!\n";
    local $/;

    return scalar <$handle>;
}

# what Prometheus adds by itself
my %own = map { $_ => 1 } qw(instance job);

sub is_exported {
    my ($what, $text) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my (%unknown, $count);

    while ($text =~ /\b(llm_cache_\w+)\b(?:\{([^}]*)\})?/g) {
        my ($metric, $labels) = ($1, $2 // '');

        $count++;
        $unknown{$metric} = 1 if !$exported{$metric};

        for my $label ($labels =~ /(\w+)\s*(?:=~|!~|!=|=)/g) {
            $unknown{"$metric of $label"} = 1
                if !$own{$label} && !$exported{$metric}{$label};
        }
    }

    while ($text =~ /\b(?:by|without) \(([^)]*)\)\s*\(.*?(llm_cache_\w+)/sg) {
        my ($labels, $metric) = ($1, $2);

        $unknown{"$metric by $_"} = 1 for grep { !$own{$_}
            && !$exported{$metric}{$_} } split /,\s*/, $labels;
    }

    ok($count, "$what: names metrics");

    return is_deeply([sort keys %unknown], [], "$what: all are exported");
}

my $dashboard = from_json(slurp('examples/grafana-dashboard.json'));
my (%ids, @places);

for my $panel (@{$dashboard->{panels}}) {
    my $place = $panel->{gridPos};

    is_exported("dashboard, $panel->{title}",
        join "\n", map { $_->{expr} } @{$panel->{targets}});
    ok(!$ids{$panel->{id}}++, "$panel->{title}: an id of its own");
    ok(!(grep { $place->{y} < $_->{y} + $_->{h} && $_->{y} < $place->{y}
        + $place->{h} && $place->{x} < $_->{x} + $_->{w}
        && $_->{x} < $place->{x} + $place->{w} } @places)
        && $place->{x} + $place->{w} <= 24,
        "$panel->{title}: a place of its own");
    push @places, $place;
}

for my $variable (@{$dashboard->{templating}{list}}) {
    is_exported("dashboard, \$$variable->{name}", $variable->{query}{query})
        if ref $variable->{query};
}

my $alerts = slurp('examples/prometheus-alerts.yml');

is_exported('alerts', join "\n",
    $alerts =~ /^ +expr: (.*?)^ +(?:for|labels|- \w+):/msg);

# every alert is tested

my @alerts = sort $alerts =~ /- alert: (\w+)$/mg;
my $tests = slurp('t/alerts/alerts.yml');
my @tested = sort $tests =~ /alertname="(\w+)"/g;

is_deeply(\@tested, \@alerts, 'alerts: each of them is tested');

my ($watching) = slurp('docs/operations.md') =~ /^## Watching it$(.*?)^## /ms;
my @told = sort $watching =~ /`(LLMCache\w+)`/g;

is_deeply(\@told, \@alerts, 'alerts: operations.md tells what to do');

SKIP: {
    skip('no promtool', 3) if system('command -v promtool >/dev/null') != 0;

    my $metrics = $nginx->prefix . '/metrics';

    open my $file, '>', $metrics or die "$metrics: $!\n";
    print $file $nginx->get('/api/metrics')->body;
    close $file;

    for my $command ("check metrics <$metrics",
        "check rules $root/examples/prometheus-alerts.yml",
        "test rules $root/t/alerts/alerts.yml")
    {
        my $said = `promtool $command 2>&1`;

        is($?, 0, "promtool $command") or diag($said);
    }
}

finish();
