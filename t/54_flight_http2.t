# Flights of clients that speak HTTP/2: many streams on one connection, some
# reset, some slow.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;
use LLMTest::Http2;

my $mock = mock();

my $nginx = nginx(workers => 2, listen => 'http2',
    location => 'llm_cache on;');

my %TOKEN = (authorization => 'Bearer sk-test');

# streams of several connections, the leader's first

sub fly {
    my ($name, $n, $body, $mock_does, %option) = @_;

    my $calls = $mock->count;
    my $text = to_json($body);
    my $first = LLMTest::Http2->new($nginx->port);
    my $leader = $first->request(chat_uri(), $text, %TOKEN,
        'x-mock' => to_json($mock_does));

    $mock->wait_for(sub { $mock->count > $calls });

    my @others = map { LLMTest::Http2->new($nginx->port, %option) } 1 .. 3;
    my @streams = map { my $other = $_; map { [$other,
        $other->request(chat_uri(), $text, %TOKEN)] } 1 .. $n } @others;

    pause(0.2);

    return ([$first, $leader], @streams);
}

sub body { my ($connection, $stream) = @{$_[0]};
    return ($connection->bodies($stream))[0] }

for my $form (qw(JSON stream)) {
    my @more = $form eq 'stream' ? (stream => json_true) : ();
    my %does = (repeat => 400);

    # all of them

    my $calls = $mock->count;
    my ($leader, @followers) = fly($form, 10, chat("all $form", @more),
        { %does, gate => "all $form" });

    $mock->release("all $form");

    my $answer = body($leader);

    ok(length($answer // '') > 20_000, "$form: the leader's answer");
    is(scalar(grep { (body($_) // '') eq $answer } @followers), 30,
        "$form: the same for all");
    is($mock->count - $calls, 1, "$form: one call");

    # the leader's stream is reset, and some followers'

    $calls = $mock->count;
    ($leader, @followers) = fly($form, 10, chat("reset $form", @more),
        { %does, hold => [@more ? 2 : 0, "reset $form"] });

    $_->[0]->reset_stream($_->[1]) for $leader, splice @followers, 0, 5;
    pause(0.2);
    $mock->release("reset $form");
    $answer = body($followers[0]);
    ok(length($answer // '') > 20_000, "$form, reset: the answer");
    is(scalar(grep { (body($_) // '') eq $answer } @followers), 25,
        "$form, reset: the same for all");
    is($mock->count - $calls, 1, "$form, reset: one call");

    # the leader's connection closes

    $calls = $mock->count;
    ($leader, @followers) = fly($form, 10, chat("close $form", @more),
        { %does, hold => [@more ? 2 : 0, "close $form"] });

    $leader->[0]->close;
    pause(0.2);
    $mock->release("close $form");
    $answer = body($followers[0]);
    ok(length($answer // '') > 20_000, "$form, closed: the answer");
    is(scalar(grep { (body($_) // '') eq $answer } @followers), 30,
        "$form, closed: the same for all");
    is($mock->count - $calls, 1, "$form, closed: one call");

    # windows smaller than the answer

    ($leader, @followers) = fly($form, 4, chat("slow $form", @more),
        { %does, gate => "slow $form" }, window => 1000);
    $mock->release("slow $form");
    $answer = body($leader);
    pause(0.3);
    $_->[0]->grant($_->[1], 1 << 20) for @followers;
    is(scalar(grep { (body($_) // '') eq $answer } @followers), 12,
        "$form, slow: the same for all");

    # the provider breaks off: a stream is reset, not ended

    ($leader, @followers) = fly($form, 4, chat("cut $form", @more),
        { %does, gate => "cut $form", cut => 3000 });
    $mock->release("cut $form");
    is(body($leader), undef, "$form, cut: no whole answer");

    my @bodies = map { body($_) } @followers;

    ok(!(grep { defined && !/(?:\[DONE\]\n\n|\})\z/ } @bodies),
        "$form, cut: none in part");
    is(scalar(grep { defined } @bodies), 12, "$form, cut: another call")
        if !@more;
}

finish();
