package LLMTest::Embeddings;

# Embeddings calls in the forms of four APIs, and what the mock answers to one
# input of them.

use strict;
use warnings;

use Exporter 'import';

use LLMTest::Json;

our @EXPORT = qw(embed_call embed_apis embed_vectors embed_indexes
    embed_asked embed_billed);

# uri, headers, the member with the inputs, an input made of a text

my %APIS = (
    openai => ['/v1/embeddings', {}, 'input', sub { $_[0] },
        { model => 'text-embedding-3-small' }],
    cohere => ['/v2/embed', {}, 'texts', sub { $_[0] },
        { model => 'embed-v4.0', input_type => 'search_query',
            embedding_types => ['float', 'int8'] }],
    gemini => ['/v1beta/models/text-embedding-004:batchEmbedContents',
        { 'Authorization' => undef, 'x-goog-api-key' => 'key' }, 'requests',
        sub { { model => 'models/text-embedding-004',
            content => { parts => [{ text => $_[0] }] } } }, {}],
    ollama => ['/api/embed', {}, 'input', sub { $_[0] },
        { model => 'all-minilm' }],
);

sub embed_apis { return sort keys %APIS }

# what nginx's post() takes; inputs as texts, or as they are sent (raw)

sub embed_call {
    my ($api, $inputs, %option) = @_;

    my ($uri, $headers, $name, $make, $rest) = @{$APIS{$api}};
    my $value = $option{raw} || !ref $inputs ? $inputs
        : [map { $make->($_) } @$inputs];

    return (($option{prefix} // '') . $uri, { %$rest, $name => $value,
        %{$option{body} // {}} }, headers => { %$headers,
        %{$option{headers} // {}} }, mock => { embed =>
        $option{embed} // {}, %{$option{mock} // {}} });
}

# the answer's vectors, as JSON, in the order of the inputs

sub embed_vectors {
    my ($answer) = @_;

    return map { to_json($_->{embedding}) } @{$answer->{data}}
        if $answer->{data};

    my $list = $answer->{embeddings};

    return map { to_json(ref $_ eq 'HASH' ? $_->{values} : $_) } @$list
        if ref $list eq 'ARRAY';

    my @types = sort keys %$list;

    return map { my $i = $_; join ' ', map { to_json($list->{$_}[$i]) }
        @types } 0 .. $#{$list->{$types[0]}};
}

sub embed_indexes {
    my ($answer) = @_;

    return map { $_->{index} } @{$answer->{data}};
}

# the inputs of a request that the mock has got

sub embed_asked {
    my ($request) = @_;

    my $doc = from_json($request->{body});
    my $inputs = $doc->{requests} // $doc->{texts} // $doc->{input};

    return map { ref $_ eq 'HASH' ? $_->{content}{parts}[0]{text} : $_ }
        ref $inputs eq 'ARRAY' ? @$inputs : $inputs;
}

sub embed_billed {
    my ($answer) = @_;

    return $answer->{usage}{total_tokens} // $answer->{prompt_eval_count}
        // $answer->{meta}{billed_units}{input_tokens};
}

1;
