# Clients that leave, and some who wait too long, in the middle of flights.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;
use LLMTest::Crowd;
use LLMTest::Flights;

my $ROUNDS = 50;

my $flights = LLMTest::Flights->new(server => <<'END');
    location /timeout/ {
        llm_cache on zone=flights;
        llm_cache_valid 3s;
        llm_cache_lock_timeout 200ms;
        proxy_pass http://flown/;
    }
END
my $nginx = $flights->front;
my $mock = $flights->provider;

# a leader that has asked, and a wait for who follows it

sub leader {
    my (@request) = @_;

    my $calls = $mock->count;
    my $followers = $flights->zone->{followers};
    my $leader = $nginx->client;

    $leader->send($nginx->request_text(@request));
    $mock->wait_for(sub { $mock->count > $calls });

    return ($leader, $calls, sub {
        $nginx->wait_until(sub { $flights->zone->{followers} > $followers });
    });
}

# the leader's client leaves while others follow: the fetch goes on

my $seen = $flights->rounds('leader leaves', $ROUNDS, sub {
    my ($number, $faults) = @_;

    my ($leader, $calls, $followed) = leader($flights->request($number,
        delay => 0.03));
    my $crowd = crowd($nginx, 20, [$flights->request($number)],
        spread => 20);

    $followed->();
    pause(rand 0.05);
    $leader->close;

    push @$faults, "$number: " . join ', ', $crowd->summary
        if $crowd->count(status => 200, end => 'whole') != 20;
    $calls = $mock->count - $calls;
    push @$faults, "$number: $calls calls"
        if $calls != 1 && $flights->is_stored($number);

    return $crowd;
});

cmp_ok($seen->{'SHARED whole'}, '>', 10 * $ROUNDS, 'leader leaves: shared');

# followers leave at any moment: the others are served

$seen = $flights->rounds('followers leave', $ROUNDS, sub {
    my ($number, $faults) = @_;

    my ($leader, $calls) = leader($flights->request($number, delay => 0.02));
    my @crowds = (crowd($nginx, 15, [$flights->request($number)],
        spread => 20, leave => 100, stay => 80),
        crowd($nginx, 10, [$flights->request($number)], spread => 40));
    my $answer = $leader->response;

    push @$faults, "$number: leader " . $answer->summary
        if !$answer->complete;
    push @$faults, "$number: " . join ', ', $crowds[1]->summary
        if $crowds[1]->count(status => 200, end => 'whole') != 10;
    $calls = $mock->count - $calls;
    push @$faults, "$number: $calls calls"
        if $calls != 1 && $flights->is_stored($number);

    return @crowds;
});

cmp_ok($seen->{'SHARED left'}, '>', $ROUNDS, 'followers leave: some do');

# those who have waited long enough ask by themselves

$flights->base('/timeout');
$seen = $flights->rounds('timeout', 10, sub {
    my ($number, $faults) = @_;

    my $crowd = crowd($nginx, 8, [$flights->request($number, delay => 0.3,
        repeat => 2)], spread => 50);

    push @$faults, "$number: " . join ', ', $crowd->summary
        if $crowd->count(status => 200, end => 'whole') != 8;

    return $crowd;
});

cmp_ok($seen->{'MISS whole'}, '>', 10,
    'timeout: some asked');

$flights->land(0);
finish();
