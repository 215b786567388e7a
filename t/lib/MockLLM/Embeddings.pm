package MockLLM::Embeddings;

# The vectors of an embeddings call.  As a rule they differ from call to call;
# where a test asks for it they follow from the inputs, and the answer is
# made odd:
#
#   embed {}                 vectors by model, dimensions and input, tokens by
#                            words
#   dim N, salt S            numbers of each vector, other vectors
#   cheap                    of a few bytes over and over, for long base64
#   shuffle N                in another order, for APIs that tell the index
#   drop N, more N           too few or too many
#   index [I...]             these indexes
#   model M, usage {...}     another model, other members of usage

use strict;
use warnings;

use Digest::SHA qw(sha256);
use Exporter 'import';
use JSON::PP ();
use MIME::Base64 qw(encode_base64);

use MockLLM::Json;

our @EXPORT = qw(embed_rows embed_tokens embed_inputs embed_spell);

my $CODEC = JSON::PP->new->canonical->allow_nonref->ascii;

# the inputs of a call, whatever the API calls them

sub embed_inputs {
    my ($doc) = @_;

    my $input = $doc->{requests} // $doc->{texts} // $doc->{input} // '';

    return ($input) if ref $input ne 'ARRAY' || (@$input && !ref $input->[0]
        && $CODEC->encode($input->[0]) =~ /^\d+$/);
    return @$input;
}

sub words {
    my ($input) = @_;

    return scalar @$input if ref $input eq 'ARRAY';
    return 0 if !defined $input;
    return 1 if ref $input;

    my @words = split ' ', $input;

    return scalar @words;
}

sub embed_tokens {
    my ($call) = @_;

    my $tokens = 0;

    return $call->prompt_tokens if !$call->option('embed');

    $tokens += words($_) for embed_inputs($call->doc);

    return $tokens;
}

sub vector {
    my ($call, $input) = @_;

    my $embed = $call->option('embed');
    my $dim = $embed->{dim} // $call->doc->{dimensions} // 6;
    my $seed = $CODEC->encode([$call->model, $embed->{salt} // '', $input]);
    return encode_base64(substr(sha256($seed) x ($dim / 8 + 1), 0, 4 * $dim),
        '') if $embed->{cheap};

    my @words = map { unpack 'N*', sha256("$_.$seed") } 0 .. $dim / 8;

    return [map { num(sprintf '%.17g', ($_ - 2 ** 31) / 2 ** 33) }
        @words[0 .. $dim - 1]];
}

# [index, vector], ...

sub embed_rows {
    my ($call) = @_;

    my $embed = $call->option('embed');
    my @inputs = embed_inputs($call->doc);

    return map { [$_, $call->vector($_)] } 0 .. $#inputs if !$embed;

    my @rows = map { [$_, vector($call, $inputs[$_])] } 0 .. $#inputs;

    push @rows, map { [@inputs + $_, vector($call, "more $_")] }
        0 .. ($embed->{more} // 0) - 1;
    splice @rows, @rows - $embed->{drop} if $embed->{drop};
    @{$embed->{index}} == @rows
        and map { $rows[$_][0] = $embed->{index}[$_] } 0 .. $#rows
        if $embed->{index};

    if ($embed->{shuffle}) {
        srand $embed->{shuffle} + @rows;

        for my $i (reverse 1 .. $#rows) {
            my $k = int rand $i + 1;

            @rows[$i, $k] = @rows[$k, $i];
        }
    }

    return @rows;
}

# numbers, or base64 of their floats

sub embed_spell {
    my ($call, $vector) = @_;

    return $vector if !ref $vector;
    return ($call->doc->{encoding_format} // '') eq 'base64'
        ? encode_base64(pack('f<*', map { $$_ } @$vector), '') : $vector;
}

1;
