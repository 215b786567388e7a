package LLMTest;

# What every black-box test begins with: Test::More, the mock LLM, nginx with
# the module, and the assertions that many tests share.
#
#   my $mock = mock();
#   my $nginx = nginx(location => 'llm_cache on;');
#   my $first = $nginx->post(chat_uri(), chat('Hello'));
#   is_hit($nginx->post(chat_uri(), chat('Hello')), $first, 'second call');
#   finish();

use strict;
use warnings;

use parent 'Exporter';

use Digest::SHA qw(sha256_hex);
use Test::More;
use Time::HiRes ();

use LLMTest::Client;
use LLMTest::Json;
use LLMTest::Load;
use LLMTest::Mock;
use LLMTest::Nginx;
use LLMTest::Requests;

our @EXPORT = (qw(mock nginx nginx_t finish is_hit is_miss is_bypass
    is_cached is_not_cached is_unharmed calls pause), @LLMTest::Json::EXPORT,
    @LLMTest::Load::EXPORT, @LLMTest::Requests::EXPORT);

my $OWNER = $$;
my $LIMIT = $ENV{TEST_TIME_LIMIT} || 300;

my (@mocks, @servers);

sub import {
    my ($class) = @_;

    strict->import;
    warnings->import;
    Test::More->export_to_level(1);
    $class->export_to_level(1, $class);

    $SIG{PIPE} = 'IGNORE';
    $SIG{$_} = sub { exit 1 } for qw(INT TERM HUP);
    $SIG{ALRM} = sub { die "the test takes more than $LIMIT seconds\n" };
    alarm $LIMIT;

    return;
}

sub mock {
    push @mocks, LLMTest::Mock->new;

    return $mocks[-1];
}

sub nginx {
    my (%option) = @_;

    my $class = $option{class} // 'LLMTest::Nginx';

    push @servers, $class->new(mock => $mocks[-1], %option);

    return $servers[-1];
}

sub nginx_t { return LLMTest::Nginx->check(mock => $mocks[-1], @_) }

# the shared end of all tests: nginx stops by itself and has nothing to say

sub finish {
    for my $server (@servers) {
        ok($server->quit, 'nginx stops gracefully');

        my @complaints = $server->complaints;

        is(scalar @complaints, 0, 'the error log is clean')
            or diag(join "\n", @complaints[0 .. ($#complaints > 19 ? 19
            : $#complaints)]);
    }

    done_testing();

    return;
}

END {
    if ($OWNER == $$) {
        my $code = $?;

        alarm 0;
        $_->quit('TERM') for @servers;
        $_->stop for @mocks;
        $_->remove for $ENV{TEST_KEEP} ? () : @servers;
        $? = $code;
    }
}

sub view {
    my ($response) = @_;

    return { status => $response->status, cache => $response->cache,
        complete => $response->complete, type =>
        $response->header('Content-Type'), body => $response->body };
}

# a hit with the bytes of the first answer

sub is_hit {
    my ($response, $first, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    return is_deeply(view($response), { %{view($first)}, cache => 'HIT' },
        "$name: hit");
}

sub is_status {
    my ($response, $status, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    return is_deeply([$response->status, $response->cache,
        $response->complete], [200, $status, 1], $name);
}

sub is_miss {
    my ($response, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    return is_status($response, 'MISS', "$name: miss");
}

sub is_bypass {
    my ($response, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    return is_status($response, 'BYPASS', "$name: bypass");
}

# how many calls the newest mock received meanwhile

sub calls {
    my ($code) = @_;

    my $before = $mocks[-1]->count;

    $code->();

    return $mocks[-1]->count - $before;
}

# the same request twice: the second is served from the cache, without a call

sub is_cached {
    my ($nginx, $name, @request) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($first, $second);

    $first = $nginx->post(@request);
    is_miss($first, $name);
    is(calls(sub { $second = $nginx->post(@request) }), 0,
        "$name: no second call");
    is_hit($second, $first, $name);

    return ($first, $second);
}

# the same request twice: both reach the provider

sub is_not_cached {
    my ($nginx, $name, @request) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my @answers;

    is(calls(sub { push @answers, $nginx->post(@request) for 1, 2 }), 2,
        "$name: two calls");
    isnt($answers[1]->cache // '', 'HIT', "$name: no hit");

    return @answers;
}

# the client has the very bytes that the provider sent

sub is_unharmed {
    my ($response, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    return is(sha256_hex($response->body), $mocks[-1]->last_request->{sent},
        "$name: the provider's bytes");
}

sub pause { my ($seconds) = @_; Time::HiRes::sleep($seconds); return }

1;
