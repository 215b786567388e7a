# What P/metrics says is clean to Prometheus' own tools: promtool and its
# linter, and the strict parser of the Python client for OpenMetrics.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;
use LLMTest::Redis;

# Debian's, which has the modules of Debian's packages
my $PYTHON = '/usr/bin/python3';

my $STRICT = <<'END';
import sys
from prometheus_client.openmetrics.parser import \
    text_string_to_metric_families
text = open(sys.argv[1], newline='').read()
families = list(text_string_to_metric_families(text))
print(len(families), sum(len(f.samples) for f in families))
END

# a name that is cut, within a character if it is cut anywhere

my $LONG = "\xc3\xa4" x 60;

my $mock = mock();
my $redis = LLMTest::Redis->new;
my $port = $redis->port;

my $nginx = nginx(no_location => 1,
    http => 'llm_cache_zone zone=other:1m;', server => <<"END");
    server_name metrics.example.com;
    location /api { llm_cache_api; }

    location / {
        llm_cache on;
        llm_cache_price * 0.000001 123456.654321;
        llm_cache_redis redis://127.0.0.1:$port;
        llm_cache_semantic on;
        proxy_pass http://llm;
    }

    location ~ "^/quote\\"d\\\\d*\\\\.a\xc3\xa4{0,3}<img src=x>" {
        llm_cache on zone=other;
        proxy_pass http://llm;
    }

    location /$LONG {
        llm_cache on zone=other;
        proxy_pass http://llm;
    }

    location /\xff {
        llm_cache on zone=other;
        proxy_pass http://llm;
    }
END

sub metrics {
    my (@accept) = @_;

    return $nginx->get('/api/metrics', @accept ? (headers =>
        { Accept => @accept }) : ())->body;
}

# a file with that text, below nginx's prefix

sub file {
    my ($name, $text) = @_;

    my $path = $nginx->prefix . "/$name";

    open my $handle, '>', $path or die "$path: $!\n";
    print $handle $text;
    close $handle;

    return $path;
}

sub is_clean {
    my ($name, $command) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $output = `($command) 2>&1`;

    is($? >> 8, 0, $name) or diag($output);

    return $output;
}

sub check {
    my ($when) = @_;

    my $text = file('metrics', metrics());

    is(is_clean("$when: promtool", "promtool check metrics <$text"), '',
        "$when: it has nothing to say");

    my $open = metrics('application/openmetrics-text; version=1.0.0');
    my $samples = () = $open =~ /^\w/mg;
    my $strict = file('strict.py', $STRICT);
    my $path = file('open', $open);
    my $output = is_clean("$when: OpenMetrics",
        "$PYTHON '$strict' '$path'");

    is($output =~ /^\d+ (\d+)$/ ? $1 : $output, $samples,
        "$when: every sample was read");

    # promtool reads OpenMetrics with times only

    $open =~ s/^(\w.*)$/$1 1700000000/mg;
    $path = file('timed', $open);
    mkdir $nginx->prefix . '/blocks';
    is_clean("$when: promtool, OpenMetrics",
        'promtool tsdb create-blocks-from openmetrics -q '
            . "'$path' '" . $nginx->prefix . "/blocks'");

    # one group of lines a family, and no series twice

    for my $lines (metrics(), $open) {
        my @families = $lines =~ /^# TYPE (\S+)/mg;
        my @series = $lines =~ /^(\w+(?:\{.*\})?) /mg;
        my (%family, %series);

        is(scalar(grep { $family{$_}++ } @families), 0,
            "$when: no family twice");
        is(scalar(grep { $series{$_}++ } @series), 0,
            "$when: no series twice");
    }

    return;
}

check('at first');

my $answer = $nginx->post(chat_uri(), chat('How are you today?'));

is_hit($nginx->post(chat_uri(), chat('How are you today?')), $answer, 'same');
$nginx->post(chat_uri(), chat('How are you today?', stream => json_true));
$nginx->post(chat_uri(), 'not JSON');
$nginx->post(chat_uri(), chat('b'), mock => { status => 500 });
$nginx->post(chat_uri(), chat('b'), headers => { 'Cache-Control' =>
    'no-cache' });
$nginx->post("/quote\"d4.a\xc3\xa4<img%20src=x>" . chat_uri(), chat('c',
    model => 'claude-3:x/y@z+1'));
$nginx->post("/$_" . chat_uri(), chat('d')) for $LONG, "\xff";
$nginx->logged($nginx->get('/api'));

like(metrics(), qr/location="metrics\.example\.com \/(?:\xc3\xa4){37}"/,
    'a long location is cut between characters');
like(metrics(), qr/location="\?"/, 'a location that is no UTF-8');
like($nginx->get('/api/status')->body, qr/"\?"/, 'the same in JSON');
like(metrics(), qr/\\"d\\\\d\*\\\\\.a/, 'a location with quotes');
like(metrics(), qr/model="claude-3:x\/y\@z\+1"/, 'a model');
like(metrics(), qr/^llm_cache_redis_stores_total\{zone=".+"\} [1-9]/m,
    'Redis');

check('in use');

# the tools complain at all

my $bad = metrics();

$bad =~ s/^# HELP llm_cache_entries .*\n//m;
isnt(system('promtool check metrics <' . file('bad', $bad)
    . ' >/dev/null 2>&1'), 0, 'promtool sees what is wrong');

$bad = metrics('application/openmetrics-text');
$bad =~ s/^(llm_cache_requests)_total/$1/mg;
isnt(system("$PYTHON '" . file('strict.py', $STRICT) . "' '"
    . file('bad', $bad) . "' >/dev/null 2>&1"), 0,
    "so does the client's parser");

finish();
