#!/usr/bin/perl

# Asks an embeddings API of OpenAI's form for the vectors of all texts of a
# file of pairs: vectors.pl PAIRS URL MODEL, writes {"text": [numbers]}.
# EMBED_KEY is sent as a bearer token.

use strict;
use warnings;

use HTTP::Tiny;
use JSON::PP;

my $BATCH = 64;

my ($pairs, $url, $model) = @ARGV;

open my $handle, '<', $pairs or die "$pairs: $!\n";

my %texts = map { $_ => 1 } map { values %$_ }
    map { my %pair = %$_; delete $pair{label}; \%pair }
    @{decode_json(join '', <$handle>)};
my @texts = sort keys %texts;

my $client = HTTP::Tiny->new(timeout => 60, default_headers => {
    'Content-Type' => 'application/json',
    $ENV{EMBED_KEY} ? (Authorization => "Bearer $ENV{EMBED_KEY}") : () });

while (my @batch = splice @texts, 0, $BATCH) {

    my $answer = $client->post($url, { content => encode_json({
        model => $model, input => \@batch, encoding_format => 'float' }) });

    die "$url: $answer->{status} $answer->{reason}\n"
        if !$answer->{success};

    for my $item (@{decode_json($answer->{content})->{data}}) {
        $texts{$batch[$item->{index}]} = $item->{embedding};
    }
}

ref $texts{$_} or die "$url: no vector for a text\n" for keys %texts;

print encode_json(\%texts);
