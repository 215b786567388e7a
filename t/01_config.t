# nginx -t: what is accepted where, and that a bad value is refused with a
# message that names the directive and the value.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

sub accepted {
    my ($name, %conf) = @_;

    my ($code, $said) = nginx_t(%conf);

    is($code, 0, "$name: accepted") or diag($said);

    return;
}

sub refused {
    my ($name, $words, %conf) = @_;

    my ($code, $said) = nginx_t(%conf);

    isnt($code, 0, "$name: refused");
    like($said, qr/\[emerg\].*\Q$_\E/, "$name: names $_") for @$words;

    return;
}

# what stands in the contract

accepted('llm_cache alone', location => 'llm_cache on;');
accepted('all directives', http => 'llm_cache_zone zone=one:1m;',
    location => <<'END');
    llm_cache on;
    llm_cache_valid 30m;
    llm_cache_key "$llm_request_model|$llm_request_messages";
    llm_cache_key_ignore metadata user options.seed;
    llm_cache_scope shared;
    llm_cache_namespace $host;
    llm_cache_bypass $http_x_bypass $arg_bypass;
    llm_cache_no_store $http_x_no_store;
    llm_cache_controls header;
    llm_cache_max_temperature 0.3;
    llm_cache_max_body 1m;
    llm_cache_finish stop length tool filter;
    llm_cache_hosted_tools on;
    llm_cache_mark on;
    llm_cache_stream_rate 50;
    llm_cache_variants 3;
    llm_cache_headers off;
END

for my $context (qw(http server location)) {
    accepted("$_ in $context", $context => "$_;")
        for 'llm_cache on', 'llm_cache opt_in', 'llm_cache off',
        'llm_cache_valid 0', 'llm_cache_scope $host',
        'llm_cache_controls off', 'llm_cache_mark off';
}

accepted('everything in an if', location => <<'END');
    if ($http_x_cached) {
        llm_cache on;
        llm_cache_valid $arg_ttl;
        llm_cache_key $request_uri;
        llm_cache_key_ignore seed;
        llm_cache_scope credentials;
        llm_cache_namespace one;
        llm_cache_bypass $arg_bypass;
        llm_cache_no_store $arg_no_store;
        llm_cache_controls header body;
        llm_cache_max_temperature 1;
        llm_cache_max_body 1k;
        llm_cache_finish stop;
        llm_cache_lock on;
        llm_cache_lock_timeout 10s;
        llm_cache_stream_rate off;
        llm_cache_variants 1;
        llm_cache_ignore_client_abort on;
        llm_cache_use_stale error timeout updating http_403 http_404 http_429
            http_500 http_502 http_503 http_504 http_529;
        llm_cache_stale 1h;
        llm_cache_background_update on;
        llm_cache_hosted_tools off;
        llm_cache_mark on;
        llm_cache_headers on;
    }
END

accepted('zone parameters', location => 'llm_cache on zone=two;',
    http => 'llm_cache_zone zone=one:512k;'
    . 'llm_cache_zone zone=two:2m inactive=10m max_entry=100k'
    . ' compress=on; llm_cache_zone zone=three:512k compress=off;'
    . 'llm_cache_zone zone=four:1g;');
accepted('the only zone needs no name', location => 'llm_cache on;',
    http => 'llm_cache_zone zone=one:1m;');

# bad values

my %bad = (
    'llm_cache' => ['maybe', ''],
    'llm_cache_valid' => ['soon', '-1', '1x'],
    'llm_cache_scope' => [''],
    'llm_cache_key_ignore' => ['', '.a', 'a.', 'a..b'],
    'llm_cache_controls' => ['cookies', '', 'HEADER!'],
    'llm_cache_max_temperature' => ['warm', '-1', '1.2.3', 'nan', ''],
    'llm_cache_max_body' => ['big', '-1', '0', ''],
    'llm_cache_finish' => ['whenever', ''],
    'llm_cache_lock' => ['maybe'],
    'llm_cache_lock_timeout' => ['soon', '-1'],
    'llm_cache_ignore_client_abort' => ['1'],
    'llm_cache_use_stale' => ['http_200', 'always', ''],
    'llm_cache_stale' => ['long', '-1'],
    'llm_cache_background_update' => ['1'],
    'llm_cache_variants' => ['many', '0', '-1', '101', '1.5', ''],
    'llm_cache_stream_rate' => ['fast', '0', '-1', '1.5', '1000001', ''],
    'llm_cache_hosted_tools' => ['maybe'],
    'llm_cache_mark' => ['yes'],
    'llm_cache_headers' => ['2'],
);

for my $directive (sort keys %bad) {
    refused("$directive \"$_\"", [$directive, $_],
        location => "$directive \"$_\";") for @{$bad{$directive}};
}

refused('controls off with others', ['llm_cache_controls', 'off'],
    location => 'llm_cache_controls header off;');
refused('controls twice the same', ['llm_cache_controls', 'body'],
    location => 'llm_cache_controls body body;');
refused('llm_cache on with nonsense', ['llm_cache', 'zome=a'],
    location => 'llm_cache on zome=a;');
refused('llm_cache off with a zone', ['invalid value "zone=one"'],
    http => 'llm_cache_zone zone=one:1m;',
    location => 'llm_cache off zone=one;');
refused('a zone without a name', ['llm_cache', 'zone='],
    location => 'llm_cache on zone=;');
refused('an unknown zone', ['llm_cache', 'absent', 'in /v1/'],
    server => 'location /v1/ { llm_cache on zone=absent; }');

my $two = 'llm_cache_zone zone=one:1m; llm_cache_zone zone=two:1m;';

refused('an unnamed zone of several', ['llm_cache', 'zone=', 'in /v1/'],
    http => $two, server => 'location /v1/ { llm_cache on; }');
refused('an unnamed zone of several for a server', ['zone=', 'in example.org'],
    http => $two, server => 'server_name example.org; llm_cache on;');

for my $zone ('zone=one', 'zone=one:', 'zone=:1m', 'zone=one:1x', 'zone=one:0',
    'zone=one:8k', 'one:1m', 'zone=one:-1')
{
    my ($name) = $zone =~ /^zone=(\w+):\d+k$/ ? 'one' : $zone;

    refused("llm_cache_zone $zone", ['llm_cache_zone', $name],
        http => "llm_cache_zone $zone;");
}

refused('an entry too large', ['llm_cache_zone', 'it must be below 1g'],
    http => 'llm_cache_zone zone=one:1m max_entry=1g;');

for my $parameter ('inactive=', 'inactive=now', 'inactive=-1', 'max_entry=',
    'max_entry=big', 'max_entry=0', 'compress=', 'compress=zstd',
    'compress=On', 'colour=red')
{
    refused("llm_cache_zone $parameter", ['llm_cache_zone', $parameter],
        http => "llm_cache_zone zone=one:1m $parameter;");
}

refused('a zone declared twice', ['one'], location => 'llm_cache on;',
    http => 'llm_cache_zone zone=one:1m; llm_cache_zone zone=one:1m;');

# contexts, counts, repetitions

refused('llm_cache_zone in a server', ['llm_cache_zone', 'not allowed'],
    server => 'llm_cache_zone zone=one:1m;');
refused("$_ without a value", [$_, 'invalid number of arguments'],
    location => "$_;") for sort keys %bad;
refused('llm_cache_zone without a value', ['llm_cache_zone'],
    http => 'llm_cache_zone;');

for my $directive ('llm_cache on', 'llm_cache_valid 1h',
    'llm_cache_scope shared', 'llm_cache_key $uri',
    'llm_cache_namespace one', 'llm_cache_controls off',
    'llm_cache_max_temperature 1', 'llm_cache_max_body 1m',
    'llm_cache_finish stop', 'llm_cache_mark on',
    'llm_cache_stream_rate 10', 'llm_cache_variants 2')
{
    my ($name) = split / /, $directive;

    refused("$name twice", [$name, 'is duplicate'],
        location => "$directive; $directive;");
}

my ($code, $said) = nginx_t(location => 'llm_cache on;'
    . 'llm_cache_background_update on;');

is($code, 0, 'background_update without updating is accepted');
like($said, qr/"llm_cache_background_update" has no effect without.* in \//,
    'background_update without updating: a warning');

refused('an unknown variable', ['nonsense'],
    location => 'llm_cache_key $nonsense;');

done_testing();
