package MockLLM::Call;

# One call to the mock: what was asked, what the answer shall say.  The
# providers' modules spell it in their own formats.

use strict;
use warnings;

use Digest::SHA qw(sha1_hex);
use Encode qw(decode_utf8 encode_utf8);
use Time::HiRes qw(time);

use MockLLM::Json;

my $SALT = $$ . time();

my $TOOL_ARGS = '{"city":"Zürich","unit":"c"}';

sub new {
    my ($class, %arg) = @_;

    my $self = bless {
        doc => $arg{doc},
        behaviour => $arg{behaviour},
        number => $arg{number},
        digest => $arg{digest},
        model => $arg{doc}{model} // $arg{model} // 'mock-1',
        stream => $arg{stream},
        created => int time,
    }, $class;

    $self->{model} = encode_utf8($self->{model});

    return $self;
}

sub doc { return $_[0]{doc} }

sub model { return $_[0]{model} }

sub created { return $_[0]{created} }

sub option { my ($self, $name) = @_; return $self->{behaviour}{$name} }

# as unique as a provider's, and always of the same length

sub id {
    my ($self, $prefix) = @_;

    return $prefix . substr sha1_hex("$SALT.$prefix.$self->{number}"), 0, 24;
}

sub kind { return $_[0]->option('kind') // 'text' }

sub text {
    my ($self, $index) = @_;

    my $size = $self->option('size');
    my $text = $self->option('text');

    return '' if $self->kind =~ /^(?:tools|refusal|empty)$/;

    if (defined $size) {
        return substr 'The quick brown fox jumps over the lazy dog. '
            x ($size / 45 + 1), 0, $size;
    }

    return encode_utf8($text) if defined $text;

    return join ' ', map { sprintf
        "Answer %06d.%d to %s: it wasn't cached \x{e2}\x{98}\x{95}",
        $self->{number}, $index // 0, substr $self->{digest}, 0, 16 }
        1 .. $self->option('repeat') // 1;
}

sub reasoning {
    my ($self) = @_;

    return $self->kind eq 'reasoning'
        ? "First \"think\",\nthen answer $self->{number}." : undef;
}

sub refusal {
    my ($self) = @_;

    return $self->kind eq 'refusal'
        ? "I'm sorry, I can't assist with that." : undef;
}

# [name, arguments, id]

sub tools {
    my ($self) = @_;

    return () if $self->kind ne 'tools';

    return (['get_weather', $TOOL_ARGS, $self->id('call_a')],
        ['get_time', '{}', $self->id('call_b')]);
}

sub tool_args { return $TOOL_ARGS }

# stop, length, tool or filter, or a provider's own word from the test

sub finish {
    my ($self, %word) = @_;

    my $finish = $self->option('finish');

    return $finish if defined $finish && !exists $word{$finish};
    return $word{$finish // (scalar $self->tools ? 'tool' : 'stop')};
}

sub choices { my ($self) = @_; return 0 .. ($self->doc->{n} // 1) - 1 }

sub prompt_tokens { return $_[0]{behaviour}{usage}[0] // 17 }

sub completion_tokens { return $_[0]{behaviour}{usage}[1] // 9 }

sub wants_usage { return !$_[0]->option('no_usage') }

# a text as a model would stream it

sub pieces {
    my ($self, $text) = @_;

    return map { encode_utf8($_) } unpack '(a1024)*', decode_utf8($text)
        if length $text > 2000;
    return split /(?<=[ ,])/, $text;
}

# floats that differ from input to input and call to call

sub vector {
    my ($self, $index) = @_;

    my @bytes = unpack 'C8', pack 'H*', sha1_hex("$self->{number}.$index");

    return [map { num(sprintf '%.8f', ($_ - 128) / 1000) } @bytes];
}

1;
