package MockLLM::Json;

# A JSON writer that keeps the order of members and the spelling of numbers,
# so that the mock's answers look like those of real providers.  Strings are
# UTF-8 bytes.

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(obj num true false json pretty);

sub obj { return bless [@_], 'MockLLM::Json::Object' }

sub num { my ($n) = @_; return \"$n" }

sub true { return \'true' }

sub false { return \'false' }

my %ESCAPE = ("\n" => '\n', "\r" => '\r', "\t" => '\t', '"' => '\"',
    '\\' => '\\\\');

sub quote {
    my ($s) = @_;

    $s =~ s/(["\\\x00-\x1f])/$ESCAPE{$1} || sprintf('\u%04x', ord $1)/ge;

    return "\"$s\"";
}

sub pairs {
    my ($object) = @_;

    my @list = @$object;
    my @pairs;

    while (my ($name, $value) = splice @list, 0, 2) {
        push @pairs, [$name, $value];
    }

    return @pairs;
}

sub scalar_text {
    my ($value) = @_;

    return 'null' if !defined $value;
    return ref $value eq 'SCALAR' ? $$value : quote($value);
}

sub json {
    my ($value) = @_;

    if (ref $value eq 'MockLLM::Json::Object') {
        return '{' . join(',', map { quote($_->[0]) . ':' . json($_->[1]) }
            pairs($value)) . '}';
    }

    if (ref $value eq 'ARRAY') {
        return '[' . join(',', map { json($_) } @$value) . ']';
    }

    return scalar_text($value);
}

sub pretty {
    my ($value, $indent) = @_;

    $indent //= '';

    my $inner = "$indent  ";
    my ($open, $close, @lines);

    if (ref $value eq 'MockLLM::Json::Object') {
        ($open, $close) = ('{', '}');
        @lines = map { quote($_->[0]) . ': ' . pretty($_->[1], $inner) }
            pairs($value);

    } elsif (ref $value eq 'ARRAY') {
        ($open, $close) = ('[', ']');
        @lines = map { pretty($_, $inner) } @$value;

    } else {
        return scalar_text($value);
    }

    return "$open$close" if !@lines;

    return "$open\n$inner" . join(",\n$inner", @lines) . "\n$indent$close";
}

1;
