package LLMTest::Response;

# What a client read of one response: status, headers in order, the body's
# bytes and how they were framed.

use strict;
use warnings;

use LLMTest::Json;

sub new { my ($class, %field) = @_; return bless { %field }, $class }

sub status { return $_[0]{status} }

sub version { return $_[0]{version} }

sub headers { return $_[0]{headers} }

sub body { return $_[0]{body} }

# length, chunked, close or none

sub framing { return $_[0]{framing} }

# the body ended as its framing said it would

sub complete { return $_[0]{complete} }

sub timed_out { return $_[0]{timed_out} }

sub header_all {
    my ($self, $name) = @_;

    return map { $_->[1] } grep { lc $_->[0] eq lc $name } @{$self->{headers}};
}

sub header {
    my ($self, $name) = @_;

    my ($value) = $self->header_all($name);

    return $value;
}

sub cache { return $_[0]->header('X-LLM-Cache') }

sub json { return from_json($_[0]{body}) }

sub summary {
    my ($self) = @_;

    return sprintf '%s %s, %d bytes%s', $self->{status} // '-',
        $self->cache // 'without X-LLM-Cache', length($self->{body} // ''),
        $self->{complete} ? '' : ', incomplete';
}

1;
