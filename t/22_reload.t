# Reload: entries survive, changed zones do not harm, and no request fails.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $mock = mock();
my %conf = (location => 'llm_cache on;', mock => $mock, workers => 2,
    level => 'notice', allow => qr/invalid value "nonsense"/,
    http => 'llm_cache_zone zone=one:2m;');
my $nginx = nginx(%conf);

sub post {
    my ($prompt, %option) = @_;

    return $nginx->post(chat_uri(), chat($prompt), %option);
}

# the same zone

my %first = map { $_ => post("entry $_") } 1 .. 20;

ok($nginx->reload, 'reload');
is(scalar(grep { post("entry $_")->body eq $first{$_}->body } keys %first),
    20, 'entries survive');

ok($nginx->reload, 'another reload') for 1 .. 3;
is_hit(post('entry 7'), $first{7}, 'entries survive many');

my $new = post('new');

pause(0.1);
is_hit(post('new'), $new, 'the zone takes new entries');

# other directives, the same zone

ok($nginx->reload(%conf, location => 'llm_cache on; llm_cache_mark on;'),
    'reload with other directives');
like(post('entry 7')->body, qr/"cache":true/, 'they hold');
ok($nginx->reload(%conf, http => 'llm_cache_zone zone=one:2m inactive=1h'
    . ' max_entry=4k;'), 'reload with other parameters');
is_hit(post('entry 7'), $first{7}, 'the entries are there');
is_miss(post('long', mock => { size => 9000 }), 'a parameter');
is_miss(post('long', mock => { size => 9000 }), 'a parameter holds');

# another size, another name, none

ok($nginx->reload(%conf, http => 'llm_cache_zone zone=one:3m;'),
    'reload with another size');

my $resized = post('entry 7');

is_miss($resized, 'another size starts empty');
pause(0.1);
is_hit(post('entry 7'), $resized, 'another size');
ok($nginx->reload(%conf, http => ''), 'reload with the implicit zone');
is_miss(post('entry 7'), 'the implicit zone');
ok($nginx->reload(%conf, http => '', location => ''),
    'reload without llm_cache');
is(post('entry 7')->cache, undef, 'without llm_cache');
ok($nginx->reload(%conf), 'reload with the first zone');
is_miss(post('entry 7'), 'the first zone, created anew');

# a configuration that is refused leaves the old one at work

my $kept = post('kept');

pause(0.1);
ok(!$nginx->reload(%conf, location => 'llm_cache nonsense;'),
    'a bad configuration is refused');
is_hit(post('kept'), $kept, 'and the old one serves');

# old workers, which finish their requests, and new ones share the zone

ok($nginx->reload(%conf), 'back to the first configuration');

my $client = $nginx->client;

$client->send($nginx->request_text(chat_uri(), chat('across',
    stream => json_true), mock => { hold => [2, 'across'] }));
ok($client->received(qr/data: /), 'a stream begins');
ok($nginx->reload(%conf), 'reload meanwhile');
$mock->release('across');

my $across = $client->response;

ok($across->complete, 'the stream ends');
is_unharmed($across, 'the stream');
pause(0.1);
is_hit($nginx->post(chat_uri(), chat('across', stream => json_true)),
    $across, 'what an old worker stored');
$client->close;

# under load: hits and misses on new connections, while nginx reloads

my @load = map { load($nginx, $_) } 1 .. 4;
my $reloads = 0;

for my $round (1 .. 12) {
    $reloads++ if $nginx->reload;
    pause(0.05);
}

is($reloads, 12, 'reloads under load');

for my $load (@load) {
    my $report = $load->();

    is(join(', ', @{$report->{$_}}), '', "under load: none $_")
        for qw(failed stuck wrong);
    cmp_ok($report->{$_}, '>', 0, "under load: $_") for qw(hit miss);
}

finish();
