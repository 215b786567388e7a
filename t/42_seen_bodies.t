# Bodies whose bytes were seen before are not parsed again.  What they mean
# depends on more than their bytes: nothing of that may be mixed up.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $mock = mock();

my $nginx = nginx(http => 'llm_cache_namespace one;', location => '',
    server => <<'END');
    location /plain/ {
        llm_cache on;
        rewrite ^/plain(/.*)$ $1 break;
        proxy_pass http://llm;
    }
    location /ignore/ {
        llm_cache on;
        llm_cache_key_ignore seed;
        rewrite ^/ignore(/.*)$ $1 break;
        proxy_pass http://llm;
    }
    location /other/ {
        llm_cache on;
        llm_cache_key_ignore top_k;
        rewrite ^/other(/.*)$ $1 break;
        proxy_pass http://llm;
    }
    location /uncontrolled/ {
        llm_cache on;
        llm_cache_controls off;
        rewrite ^/uncontrolled(/.*)$ $1 break;
        proxy_pass http://llm;
    }
    location /cold/ {
        llm_cache on;
        llm_cache_max_temperature 0.5;
        rewrite ^/cold(/.*)$ $1 break;
        proxy_pass http://llm;
    }
END

sub key_of {
    my ($prefix, $body, %option) = @_;

    return $nginx->post($prefix . ($option{uri} // chat_uri()), $body,
        %option)->header('X-LLM-Cache-Key');
}

my $text = to_json(chat('seen', seed => 1));
my %key = map { $_ => key_of($_, $text) } qw(/plain /ignore /other);

is(key_of($_, $text), $key{$_}, "$_: the same key when seen again")
    for sort keys %key;
isnt($key{'/ignore'}, $key{'/plain'}, 'an ignore list makes another key');
is($key{'/other'}, $key{'/plain'}, 'an ignore list that does not matter');
is(key_of('/ignore', to_json(chat('seen', seed => 2))), $key{'/ignore'},
    'the ignored field is ignored');
isnt(key_of('/plain', to_json(chat('seen', seed => 2))), $key{'/plain'},
    'elsewhere it counts');

# headers and credentials are no part of what is remembered

for my $round (1, 2) {
    isnt(key_of('/plain', $text, headers => { 'Authorization' => 'Bearer b' }),
        $key{'/plain'}, "other credentials, $round");
    isnt(key_of('/plain', $text, headers => { 'OpenAI-Project' => 'b' }),
        $key{'/plain'}, "another header, $round");
}

# the same bytes at another API, or with another model in the path

my $bytes = '{"input":"x","model":"m","messages":[],"prompt":"x"}';
my %seen;

for my $round (1, 2) {
    for my $uri (qw(/v1/chat/completions /v1/completions /v1/embeddings
        /v1/messages /api/chat /anything
        /openai/deployments/a/chat/completions
        /openai/deployments/b/chat/completions
        /v1beta/models/a:generateContent /v1beta/models/b:generateContent))
    {
        my $key = key_of('/plain', $bytes, uri => $uri);

        $seen{$key}{$uri} = 1;
    }
}

is(scalar keys %seen, 10, 'the same bytes at ten APIs have ten keys');
is(scalar(grep { keys %$_ == 1 } values %seen), 10, 'none is shared');

# what the body asks for is remembered with it

my $hot = to_json(chat('hot', temperature => 0.9));

for my $round (1, 2) {
    my $answer = $nginx->post('/cold' . chat_uri(), $hot);

    is($answer->cache, 'BYPASS', "too hot, $round");
    is($nginx->logged($answer)->{reason}, 'temperature',
        "too hot, $round: reason");
    is($nginx->logged($answer)->{model}, 'gpt-4o-mini',
        "too hot, $round: model");
}

my $streamed = to_json(chat('stream', stream => json_true,
    stream_options => { include_usage => json_true }));
my $silent = to_json(chat('stream', stream => json_true));
my @answers = map { $nginx->post('/plain' . chat_uri(), $_) } $streamed,
    $streamed, $silent, $silent;

is_deeply([map { $_->cache } @answers], [qw(MISS HIT HIT HIT)],
    'streams, with and without usage');
is($answers[1]->body, $answers[0]->body, 'with usage: the same bytes');
like($answers[2]->body, qr/\[DONE\]/, 'without usage: whole');
unlike($_->body, qr/"total_tokens"/, 'without usage') for @answers[2, 3];

# controls are read, and cut out, each time

my $control = to_json(chat('control', cache => { 'no-cache' => json_true }));

for my $round (1 .. 3) {
    is(calls(sub { $nginx->post('/plain' . chat_uri(), $control) }), 1,
        "no-cache, $round");
    unlike($mock->last_request->{body}, qr/no-cache/,
        "no-cache, $round: cut out");
}

$nginx->post('/uncontrolled' . chat_uri(), $control) for 1, 2;
like($mock->last_request->{body}, qr/no-cache/,
    'where controls are off they arrive');
is($nginx->post('/uncontrolled' . chat_uri(), $control)->cache, 'HIT',
    'and do not count');

# more bodies than the table has room for

my $wrong = 0;

for my $number (1 .. 2000) {
    my $answer = $nginx->post('/plain' . chat_uri(), chat("many $number"));

    $wrong++ if $answer->cache ne 'MISS';
}

is($wrong, 0, 'many bodies: none is taken for another');

finish();
