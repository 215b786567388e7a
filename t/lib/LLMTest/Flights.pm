package LLMTest::Flights;

# Faults in the middle of flights, again and again, beside a load of other
# requests: an nginx with a zone for the flights and one for the load, and
# what must hold afterwards.

use strict;
use warnings;

use Test::More;
use Time::HiRes ();

use LLMTest;
use LLMTest::Crowd;

my @NAMES = qw(flights followers takeovers flying free);

# slab pages that hold small things need not be as full as they were
my $SLACK = 8 * 4096;

sub new {
    my ($class, %option) = @_;

    my $other = mock();
    my $mock = mock();
    my $port = $mock->port;
    my $server = $option{server} // '';
    my $variables = join ' ', map { "\$llm_cache_zone_$_" } @NAMES;
    my $nginx = nginx(workers => 2, level => 'notice', mock => $other, %option,
        http => 'llm_cache_zone zone=load:1m;'
            . " llm_cache_zone zone=flights:8m;"
            . " upstream flown { server 127.0.0.1:$port; keepalive 16; }"
            . ($option{http} // ''),
        location => 'llm_cache on zone=load;', server => <<"END");
    location = /zone {
        llm_cache on zone=flights;
        return 200 "$variables";
    }
    location /flights/ {
        llm_cache on zone=flights;
        llm_cache_valid 3s;
        proxy_pass http://flown/;
    }
    $server
END

    my $self = bless { nginx => $nginx, mock => $mock,
        base => '/flights' }, $class;

    $self->{load} = [map { load($nginx, $_) } 1 .. $option{loads} // 1];

    return $self;
}

sub front { return $_[0]{nginx} }

sub provider { return $_[0]{mock} }

# the location that requests go to by themselves

sub base { my ($self, $base) = @_; $self->{base} = $base; return }

sub zone {
    my ($self) = @_;

    my %zone;

    @zone{@NAMES} = split ' ', $self->{nginx}->get('/zone')->body;

    return \%zone;
}

# requests that come again and again, JSON and streams, stored and not

sub request {
    my ($self, $number, %mock) = @_;

    my $kind = $number % 4;
    my @headers = $kind >= 2 ? (headers => [['Cache-Control', 'no-store']])
        : ();

    return (($mock{base} // $self->{base}) . chat_uri(),
        chat("flight $number", $kind % 2 ? (stream => json_true) : ()),
        mock => { repeat => 20, pace => 0.001, @headers, %mock });
}

sub is_stored { my ($self, $number) = @_; return $number % 4 < 2 }

# all that is stored, stored anew and on its own; then the free memory

sub settle {
    my ($self, @numbers) = @_;

    $self->{nginx}->wait_until(sub { $self->zone->{flying} == 0 })
        or return 'flying';

    for my $number (grep { $self->is_stored($_) } @numbers) {
        my ($uri, $body, %more) = $self->request($number, pace => 0);
        my $answer = $self->{nginx}->post($uri, $body, %more,
            headers => { 'Cache-Control' => 'no-cache' });

        return 'not stored: ' . $answer->summary if !$answer->complete;
    }

    return $self->zone->{free};
}

# a fault in each of so many flights

sub rounds {
    my ($self, $name, $count, $round) = @_;

    my @numbers = 1 .. $count;
    my (@faults, %seen);

    # what is stored has expired when the flights begin, so that they fly

    my @warm = map { crowd($self->{nginx}, 10, [$self->request($_)]) } 1 .. 4;

    $_->groups for @warm;

    my $before = $self->settle(@numbers);

    pause(3.1);

    for my $number (@numbers) {
        my @crowds = $round->($number, \@faults);

        push @faults, map { "$number: $_" } crowd_faults(@crowds);

        for my $group (map { $_->groups } @crowds) {
            $seen{"$group->{cache} $group->{end}"} += $group->{count};
        }
    }

    is(join("\n", @faults[0 .. ($#faults > 9 ? 9 : $#faults)]), '',
        "$name: no faults");
    diag("$name: ", join ', ', map { "$_ $seen{$_}" } sort keys %seen)
        if $ENV{TEST_VERBOSE};

    my $after = $self->settle(@numbers);

    like($after, qr/^\d+$/, "$name: nothing flies");
    cmp_ok(abs($after - $before), '<=', $SLACK, "$name: memory is free again")
        or diag("before $before, after $after");

    return \%seen;
}

# the load ends: none of its requests has met a wrong answer

sub land {
    my ($self, $allowed) = @_;

    my $failed = 0;

    for my $load (@{$self->{load}}) {
        my $report = $load->();

        is(join(', ', @{$report->{$_}}), '', "load: none $_")
            for qw(stuck wrong);
        $failed += @{$report->{failed}};
    }

    cmp_ok($failed, '<=', $allowed, 'load: failed');

    return;
}

1;
