package LLMTest::Model;

# Writes a tiny model for the static embedder: %rows has the vector of each
# word.

use strict;
use warnings;

use Exporter 'import';

use LLMTest::Json;

our @EXPORT = qw(write_model);

sub put {
    my ($name, $bytes) = @_;

    open my $file, '>:raw', $name or die "$name: $!\n";
    print $file $bytes;
    close $file or die "$name: $!\n";

    return;
}

sub write_model {
    my ($dir, %rows) = @_;

    my @words = ('[UNK]', sort keys %rows);
    my @vectors = map { $rows{$_} // [(0) x @{$rows{$words[1]}}] } @words;
    my $at = 0;
    my $data = pack 'f<*', map { @$_ } @vectors;
    my $header = sprintf '{"embeddings":{"dtype":"F32","shape":[%d,%d],'
        . '"data_offsets":[0,%d]}}', scalar @words, scalar @{$vectors[0]},
        length $data;

    mkdir $dir or die "$dir: $!\n" if !-d $dir;

    put("$dir/model.safetensors", pack('Q<', length $header) . $header
        . $data);
    put("$dir/tokenizer.json", '{"normalizer":{"type":"BertNormalizer"},'
        . '"pre_tokenizer":{"type":"BertPreTokenizer"},"model":{"type":'
        . '"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##",'
        . '"vocab":{' . join(',', map { "\"$_\":" . $at++ } @words) . '}}}');
    put("$dir/config.json", '{"normalize":true}');

    return;
}

1;
