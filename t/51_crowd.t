# A thousand clients ask the same at once: one upstream call, and a thousand
# equal answers.  FULL=1 does it a hundred times for each form.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;
use LLMTest::Crowd;

my ($CLIENTS, $ROUNDS) = $ENV{FULL} ? (1000, 100) : (1000, 20);

my $mock = mock();

my $nginx = nginx(workers => 4, listen => 'backlog=4096', server => <<'END');
    llm_cache on;
    location = /zone {
        return 200 "$llm_cache_zone_followers $llm_cache_zone_flying";
    }
END

sub zone { return split ' ', $nginx->get('/zone')->body }

# all at once, or in the course of the answer, which takes a while

sub round {
    my ($name, $stream, $spread) = @_;

    my @more = $stream ? (stream => json_true) : ();
    my $calls = $mock->count;
    my $crowd = crowd($nginx, $CLIENTS, [chat_uri(), chat($name, @more),
        mock => { repeat => 20, delay => 0.1, pace => 0.002 }],
        spread => $spread);
    my @groups = $crowd->groups;
    my %bodies = map { $_->{digest} => 1 } @groups;
    my @faults = crowd_faults($crowd);

    push @faults, 'calls: ' . ($mock->count - $calls)
        if $mock->count - $calls != 1;
    push @faults, 'bodies: ' . keys %bodies if keys %bodies != 1;
    push @faults, join "\n", $crowd->summary
        if $crowd->count(status => 200, end => 'whole') != $CLIENTS
            || $crowd->count(cache => 'MISS') != 1
            || $crowd->count(cache => 'SHARED|HIT') != $CLIENTS - 1;

    is(join("\n", @faults), '', "$name: one call, equal answers");

    return $crowd->count(cache => 'SHARED');
}

for my $form (qw(JSON stream)) {
    my $shared = 0;

    for my $number (1 .. $ROUNDS) {
        my $spread = $number % 3 ? int rand 600 : 0;

        $shared += round("$form $number, within $spread ms",
            $form eq 'stream', $spread);
    }

    cmp_ok($shared, '>', $CLIENTS, "$form: many of them followed");
    ok($nginx->wait_until(sub { (zone())[1] == 0 }), "$form: no flight left");
}

finish();
