# Workers that are killed, and replaced by a reload, in the middle of flights:
# who follows gets the answer, or sees that it is not all of it.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;
use LLMTest::Crowd;
use LLMTest::Flights;

my $ROUNDS = 50;

my $flights = LLMTest::Flights->new(
    allow => qr/process \d+ exited on signal 9|zone "\w+" was locked by \d+/);
my $nginx = $flights->front;
my $mock = $flights->provider;

# a worker is killed: perhaps the leader's, perhaps one of followers

my $seen = $flights->rounds('killed', $ROUNDS, sub {
    my ($number, $faults) = @_;

    my $crowd = crowd($nginx, 20, [$flights->request($number, delay => 0.04)],
        spread => 60);

    pause(rand 0.12);
    $nginx->kill_worker($number);

    return $crowd;
});

cmp_ok($seen->{'SHARED whole'}, '>', $ROUNDS, 'killed: some shared');
cmp_ok($flights->zone->{takeovers}, '>', 0, 'killed: others took over');

# both generations of workers know the flight: one call, and all are served

$seen = $flights->rounds('reload', $ROUNDS, sub {
    my ($number, $faults) = @_;

    my $calls = $mock->count;
    my $crowd = crowd($nginx, 20, [$flights->request($number, delay => 0.05)],
        spread => 100);

    pause(rand 0.1);
    push @$faults, "$number: no reload" if !$nginx->reload;

    my $whole = $crowd->count(status => 200, end => 'whole');

    $calls = $mock->count - $calls;
    push @$faults, "$number: " . join ', ', $crowd->summary if $whole != 20;
    push @$faults, "$number: $calls calls"
        if $calls != 1 && $flights->is_stored($number);

    return $crowd;
});

cmp_ok($seen->{'SHARED whole'}, '>', $ROUNDS, 'reload: some shared');

$flights->land(2 * $ROUNDS);
finish();
