package MockLLM::Dialects;

# Which answer a path gets: a table of dialects, and the making of a body from
# what a test asked for.

use strict;
use warnings;

use JSON::PP ();

use MockLLM::Call;
use MockLLM::Json;
use MockLLM::OpenAI;
use MockLLM::Providers;

my $SSE = 'text/event-stream; charset=utf-8';
my $JSON = 'application/json';
my $MAX_PARSED = 1 << 20;

my $DECODER = eval { require JSON::XS; JSON::XS->new->utf8->max_depth(512) }
    || JSON::PP->new->utf8;

my $openai = sub {
    my ($name, %more) = @_;

    return { json => MockLLM::OpenAI->can("${name}_json"),
        stream => MockLLM::OpenAI->can("${name}_stream"),
        error => \&MockLLM::OpenAI::error,
        error_event => \&MockLLM::OpenAI::error_event, type => $SSE, %more };
};

my $provider = sub {
    my ($family, $name, %more) = @_;

    return { json => MockLLM::Providers->can("${name}_json"),
        stream => MockLLM::Providers->can("${name}_stream"),
        error => MockLLM::Providers->can("${family}_error"),
        error_event => MockLLM::Providers->can("${family}_error_event"),
        type => $SSE, %more };
};

my %ollama = (type => 'application/x-ndjson', streams_by_default => 1);
my %gemini = (pretty => 1, type => 'text/event-stream');

my @ROUTES = (
    [qr{/v2/chat$}, $provider->('cohere', 'cohere')],
    [qr{/v2/embed$}, $provider->('cohere', 'cohere_embed')],
    [qr{/api/chat$}, $provider->('ollama', 'ollama_chat', %ollama)],
    [qr{/api/generate$}, $provider->('ollama', 'ollama_generate', %ollama)],
    [qr{/api/embed$}, $provider->('ollama', 'ollama_embed')],
    [qr{/chat/completions$}, $openai->('chat')],
    [qr{/completions$}, $openai->('completions')],
    [qr{/responses$}, $openai->('responses',
        error_event => \&MockLLM::OpenAI::responses_error_event)],
    [qr{/embeddings$}, $openai->('embeddings')],
    [qr{/moderations$}, $openai->('moderations')],
    [qr{/messages$}, $provider->('anthropic', 'anthropic')],
    [qr{/models/([^/:]+):generateContent$},
        $provider->('gemini', 'gemini', %gemini, stream => undef)],
    [qr{/models/([^/:]+):streamGenerateContent$},
        $provider->('gemini', 'gemini', %gemini, streams => 1)],
    [qr{/models/[^/:]+:embedContent$},
        $provider->('gemini', 'gemini_embed', pretty => 1)],
    [qr{/models/[^/:]+:batchEmbedContents$},
        $provider->('gemini', 'gemini_batch', pretty => 1)],
    [qr{/rerank$}, $provider->('cohere', 'rerank')],
);

my $gemini_array = $provider->('gemini', 'gemini', %gemini, type => $JSON,
    stream => \&MockLLM::Providers::gemini_array,
    error_event => \&MockLLM::Providers::gemini_array_error, streams => 1);

my $other = $openai->('chat', json => sub {
    my ($call) = @_;

    return obj(id => $call->id('obj_'), object => 'thing',
        created => num($call->created), value => $call->text);
}, stream => undef);

sub route {
    my ($path, $query) = @_;

    for my $row (@ROUTES) {
        next if $path !~ $row->[0];

        my $model = defined $1 ? $1 : undef;

        return ($gemini_array, $model)
            if $row->[1]{streams} && $query !~ /(?:^|&)alt=sse(?:&|$)/;
        return ($row->[1], $model);
    }

    return ($other, undef);
}

sub parsed {
    my ($body) = @_;

    return {} if length $body > $MAX_PARSED;

    my $doc = eval { $DECODER->decode($body) };

    return ref $doc eq 'HASH' ? $doc : {};
}

sub stream_pieces {
    my ($dialect, $call) = @_;

    my @pieces = $dialect->{stream}->($call);
    my $keep = $call->option('keep');

    splice @pieces, $keep if defined $keep && $keep < @pieces;

    if ($call->option('error')) {
        splice @pieces, $call->option('after') // 0;
        push @pieces, $dialect->{error_event}->($call);
    }

    return @pieces;
}

# request: number, path, query, body, digest; returns the content type and
# the pieces of the body, one for each event

sub answer {
    my ($request, $behaviour) = @_;

    my ($dialect, $model) = route($request->{path}, $request->{query});
    my $doc = parsed($request->{body});
    my $stream = $doc->{stream}
        // ($dialect->{streams_by_default} ? 1 : $dialect->{streams});
    my $failed = ($behaviour->{status} // 200) >= 300;
    my $call = MockLLM::Call->new(doc => $doc, behaviour => $behaviour,
        number => $request->{number}, digest => $request->{digest},
        model => $model);

    if ($stream && $dialect->{stream} && !$failed) {
        return ($dialect->{type}, stream_pieces($dialect, $call));
    }

    my $make = $failed || $behaviour->{error} ? 'error' : 'json';
    my $value = $dialect->{$make}->($call);

    return ($JSON, $dialect->{pretty} ? pretty($value) . "\n" : json($value));
}

1;
