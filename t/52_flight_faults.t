# Providers that break off, and a zone that is full, in the middle of flights.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;
use LLMTest::Crowd;
use LLMTest::Flights;

my $ROUNDS = 50;

my $flights = LLMTest::Flights->new(
    http => 'llm_cache_zone zone=tiny:256k;',
    server => <<'END');
    location = /tiny/zone {
        llm_cache on zone=tiny;
        return 200 "$llm_cache_zone_flying $llm_cache_zone_free";
    }
    location /tiny/ {
        llm_cache on zone=tiny;
        llm_cache_valid 3s;
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

# the provider breaks off: nobody takes that for an answer, who has got
# nothing of it is served by another call

my $seen = $flights->rounds('cut', $ROUNDS, sub {
    my ($number, $faults) = @_;

    my ($leader, $calls, $followed) = leader($flights->request($number,
        delay => 0.05, cut => 1 + int rand 1500, reset => $number % 3));
    my $crowd = crowd($nginx, 20, [$flights->request($number)],
        spread => 40);
    my $answer = $leader->response;

    push @$faults, "$number: leader " . $answer->summary if $answer->complete;
    push @$faults, "$number: " . join ', ', $crowd->summary
        if $crowd->count(status => 200, end => 'whole')
            + $crowd->count(end => 'cut') != 20;
    push @$faults, "$number: a JSON follower is cut off"
        if $crowd->count(end => 'cut') && $number % 2 == 0;

    my $again = $nginx->post($flights->request($number, pace => 0));

    push @$faults, "$number: " . $again->summary
        if !$again->complete || length $again->body < 1600;

    return $crowd;
});

cmp_ok($seen->{'SHARED cut'}, '>', 10, 'cut: some had begun');
cmp_ok($seen->{'SHARED whole'}, '>', 10, 'cut: some had not');

# no room for the answer: who has got nothing goes upstream

my ($free, $after);

$seen = $flights->rounds('no room', $ROUNDS, sub {
    my ($number, $faults) = @_;

    my ($leader, $calls) = leader($flights->request($number, delay => 0.02,
        pace => 0.001, repeat => 2000, base => '/tiny'));
    my $crowd = crowd($nginx, 8, [$flights->request($number, repeat => 2000,
        base => '/tiny')], spread => 40);
    my $answer = $leader->response;
    my $whole = $crowd->count(status => 200, end => 'whole');

    push @$faults, "$number: leader " . $answer->summary
        if !$answer->complete;
    push @$faults, "$number: " . join ', ', $crowd->summary
        if $whole + $crowd->count(end => 'cut') != 8;
    push @$faults, "$number: a JSON follower is cut off"
        if $whole != 8 && $number % 2 == 0;
    $nginx->wait_until(sub { $nginx->get('/tiny/zone')->body =~ /^0 / });
    ($after) = $nginx->get('/tiny/zone')->body =~ /^0 (\d+)/;
    $free //= $after;

    return $crowd;
});

cmp_ok($after, '>=', $free, 'no room: memory is free again');

$flights->land(0);
finish();
