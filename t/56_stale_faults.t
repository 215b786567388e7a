# Refreshes in the background that are interrupted.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $mock = mock();

# the first answers are soon old, those that take their place are not

my $nginx = nginx(workers => 2,
    allow => qr/exited on signal 9|was locked by/,
    http => 'map $http_x_brief $valid { default 1h; 1 1s; }',
    server => <<'END');
    llm_cache on;
    llm_cache_valid $valid;
    llm_cache_namespace all;
    llm_cache_use_stale updating error timeout http_500;
    llm_cache_background_update on;
    location = /zone {
        return 200 "$llm_cache_zone_flying";
    }
END

my @FAULTS = qw(kill reload both);
my $ROUNDS = 5;

my %first;

sub ask {
    my ($prompt, %option) = @_;

    my %body = $prompt =~ /stream/ ? (stream => json_true) : ();

    return $nginx->post(chat_uri(), chat($prompt, %body), %option);
}

sub is_old {
    my ($prompt, $name) = @_;

    my $answer = ask($prompt);

    is($answer->cache, 'UPDATING', "$name: UPDATING");
    is($answer->body, $first{$prompt}->body, "$name: the old answer");

    return;
}

sub grounded {
    my ($name) = @_;

    ok($nginx->wait_until(sub { $nginx->get('/zone')->body eq '0' }),
        "$name: nothing is left of the flight");

    return;
}

my @prompts = map { my $fault = $_; map { ("$fault json $_",
    "$fault stream $_") } 1 .. $ROUNDS } @FAULTS;

$first{$_} = ask($_, headers => { 'X-Brief' => 1 }) for @prompts, 'quit';
is(scalar(grep { $_->cache eq 'MISS' } values %first), @prompts + 1,
    'all are stored');
pause(2.1);

for my $prompt (@prompts) {
    my $calls = $mock->count;

    $mock->next($prompt =~ /stream/ ? { hold => [2, $prompt] }
        : { gate => $prompt });
    is_old($prompt, $prompt);
    ok($mock->wait_for(sub { $mock->waiting($prompt) }), "$prompt: flies");

    if ($prompt =~ /reload|both/) {
        ok($nginx->reload, "$prompt: reload");
        is_old($prompt, "$prompt, by another generation");
        is($mock->count - $calls, 1, "$prompt: one call");
    }

    if ($prompt =~ /kill/) {
        $nginx->kill_worker(0) for 1, 2;

    } elsif ($prompt =~ /both/) {
        my @old = $nginx->old_worker_pids;

        kill 'KILL', @old;
        $nginx->wait_until(sub { !grep { -e "/proc/$_" } @old });
    }

    $mock->release($prompt);

    # nobody tells of a worker that dies while it is shutting down

    grounded($prompt) if $prompt !~ /both/;

    my $answer = ask($prompt);

    if ($prompt =~ /reload/) {
        is($answer->cache, 'HIT', "$prompt: refreshed");
        isnt($answer->body, $first{$prompt}->body, "$prompt: a new answer");
        is($mock->count - $calls, 1, "$prompt: by one call");

    } else {
        is($answer->cache, 'UPDATING', "$prompt: tried again");
        grounded("$prompt, again");
        is(ask($prompt)->cache, 'HIT', "$prompt: refreshed");
        is($mock->count - $calls, 2, "$prompt: by a second call");
    }
}

# nginx stops while an answer is being refreshed: it is fetched first

$mock->next({ gate => 'quit' });
is_old('quit', 'quit');
$mock->wait_for(sub { $mock->waiting('quit') });
kill 'QUIT', $nginx->master_pid;
pause(0.2);
$mock->release('quit');

finish();
