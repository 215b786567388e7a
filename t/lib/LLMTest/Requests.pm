package LLMTest::Requests;

# One request of every dialect, as the providers' own clients send them.

use strict;
use warnings;

use Exporter 'import';

use LLMTest::Json;

our @EXPORT = qw(chat chat_uri dialects dialect);

sub chat_uri { return '/v1/chat/completions' }

# a chat request that asks $prompt

sub chat {
    my ($prompt, %more) = @_;

    return { model => 'gpt-4o-mini',
        messages => [{ role => 'user', content => $prompt }], %more };
}

my @ANTHROPIC = (headers => { 'Authorization' => undef,
    'x-api-key' => 'sk-ant-test', 'anthropic-version' => '2023-06-01' });
my @GEMINI = (headers => { 'Authorization' => undef,
    'x-goog-api-key' => 'AIza-test' });

my $contents = sub {
    my ($prompt, %more) = @_;

    return { contents => [{ role => 'user',
        parts => [{ text => $prompt }] }], %more };
};

my $simple = sub {
    my ($model, $field) = @_;

    return sub {
        my ($prompt, %more) = @_;

        return { model => $model, $field => $prompt, %more };
    };
};

my $messages = sub {
    my ($model, @fixed) = @_;

    return sub {
        my ($prompt, %more) = @_;

        return { chat($prompt)->%*, model => $model, @fixed, %more };
    };
};

my $rerank = sub {
    my ($prompt, %more) = @_;

    return { model => 'rerank-v3.5', query => $prompt,
        documents => ['Paris', 'Berlin', 'Rome'], top_n => 2, %more };
};

# name, uri, model, body($prompt, %more), headers; streams: the body's
# "stream" asks for it; form: json, sse or ndjson of the answer as it stands

my @DIALECTS = (
    { name => 'chat', uri => chat_uri(), model => 'gpt-4o-mini',
        body => \&chat, streams => 'sse' },
    { name => 'azure chat', model => 'gpt-4o-mini', streams => 'sse',
        body => \&chat,
        uri => '/openai/deployments/my-gpt/chat/completions'
            . '?api-version=2024-06-01',
        headers => { 'Authorization' => undef, 'api-key' => 'az-test' } },
    { name => 'completions', uri => '/v1/completions', streams => 'sse',
        model => 'gpt-3.5-turbo-instruct',
        body => $simple->('gpt-3.5-turbo-instruct', 'prompt') },
    { name => 'responses', uri => '/v1/responses', model => 'gpt-4.1',
        streams => 'sse', body => $simple->('gpt-4.1', 'input') },
    { name => 'embeddings', uri => '/v1/embeddings',
        model => 'text-embedding-3-small',
        body => $simple->('text-embedding-3-small', 'input') },
    { name => 'anthropic', uri => '/v1/messages', streams => 'sse',
        model => 'claude-3-5-haiku-latest', @ANTHROPIC,
        body => $messages->('claude-3-5-haiku-latest', max_tokens => 256) },
    { name => 'gemini generate', model => 'gemini-2.0-flash', @GEMINI,
        uri => '/v1beta/models/gemini-2.0-flash:generateContent',
        body => $contents },
    { name => 'gemini stream', model => 'gemini-2.0-flash', @GEMINI,
        uri => '/v1beta/models/gemini-2.0-flash:streamGenerateContent'
            . '?alt=sse', body => $contents, form => 'sse' },
    { name => 'gemini array', model => 'gemini-2.0-flash', @GEMINI,
        uri => '/v1beta/models/gemini-2.0-flash:streamGenerateContent',
        body => $contents, form => 'array' },
    { name => 'gemini embed', model => 'text-embedding-004', @GEMINI,
        uri => '/v1beta/models/text-embedding-004:embedContent',
        body => sub { my ($prompt, %more) = @_; return {
            model => 'models/text-embedding-004',
            content => { parts => [{ text => $prompt }] }, %more } } },
    { name => 'gemini batch', model => 'text-embedding-004', @GEMINI,
        uri => '/v1beta/models/text-embedding-004:batchEmbedContents',
        body => sub { my ($prompt, %more) = @_; return { requests => [map { {
            model => 'models/text-embedding-004',
            content => { parts => [{ text => "$prompt $_" }] } } } 1, 2],
            %more } } },
    { name => 'cohere chat', uri => '/v2/chat', model => 'command-r-plus',
        streams => 'sse', body => $messages->('command-r-plus') },
    { name => 'cohere embed', uri => '/v2/embed', model => 'embed-v4.0',
        body => sub { my ($prompt, %more) = @_; return {
            model => 'embed-v4.0', texts => [$prompt, 'second'],
            input_type => 'search_query', embedding_types => ['float'],
            %more } } },
    { name => 'cohere rerank', uri => '/v2/rerank', model => 'rerank-v3.5',
        body => $rerank },
    { name => 'ollama chat', uri => '/api/chat', model => 'llama3.2',
        streams => 'ndjson', form => 'ndjson',
        body => $messages->('llama3.2') },
    { name => 'ollama generate', uri => '/api/generate', streams => 'ndjson',
        model => 'llama3.2', form => 'ndjson',
        body => $simple->('llama3.2', 'prompt') },
    { name => 'ollama embed', uri => '/api/embed', model => 'all-minilm',
        body => $simple->('all-minilm', 'input') },
    { name => 'rerank', uri => '/v1/rerank', model => 'rerank-v3.5',
        body => $rerank },
    { name => 'moderations', uri => '/v1/moderations',
        model => 'omni-moderation-latest',
        body => $simple->('omni-moderation-latest', 'input') },
    { name => 'other JSON', uri => '/v1/things', model => 'thing-1',
        body => $simple->('thing-1', 'question') },
);

$_->{form} //= 'json' for @DIALECTS;

sub dialects { return @DIALECTS }

sub dialect {
    my ($name) = @_;

    return (grep { $_->{name} eq $name } @DIALECTS)[0]
        // die "no dialect $name\n";
}

1;
