# The examples of LiteLLM's page on caching, over HTTP.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $mock = mock();

my $nginx = nginx(location => 'llm_cache on; llm_cache_mark on;',
    server => <<'END');
    location /asked/ {
        llm_cache opt_in;
        proxy_pass http://llm;
    }
    location /custom/ {
        llm_cache on;
        llm_cache_key $llm_request_model$llm_request_messages$llm_request_temperature$llm_request_logit_bias;
        proxy_pass http://llm;
    }
END

my @JOKE = (model => 'gpt-3.5-turbo', messages => [{ role => 'user',
    content => 'Tell me a joke.' }]);

# Make completion calls: response1 == response2, response 1 is cached

my ($response1, $response2) = map { $nginx->post(chat_uri(), { @JOKE }) }
    1, 2;

is($mock->count, 1, 'completion: one call');
is($response2->json->{id}, $response1->json->{id}, 'completion: equal ids');
ok(!exists $response1->json->{cache}, 'completion: the first is not marked');
is($response2->json->{cache}, json_true, 'completion: "cache": true');

my %unmarked = %{$response2->json};

delete $unmarked{cache};
is_deeply(\%unmarked, $response1->json, 'completion: response1 == response2');

# the same, streamed

my ($stream1, $stream2) = map { $nginx->post(chat_uri(), { @JOKE,
    max_tokens => 100, stream => json_true }) } 1, 2;
my @chunks1 = $stream1->body =~ /^data: (.*)$/mg;
my @chunks2 = $stream2->body =~ /^data: (.*)$/mg;

is($mock->count, 2, 'stream: one more call');
is($stream2->cache, 'HIT', 'stream: cached');
is(scalar @chunks2, scalar @chunks1, 'stream: as many chunks');
is($chunks2[-1], '[DONE]', 'stream: to its end');
is(from_json($chunks2[0])->{cache}, json_true, 'stream: marked');
is_deeply([@chunks2[1 .. $#chunks2]], [@chunks1[1 .. $#chunks1]],
    'stream: equal chunks');

# embedding(model="text-embedding-ada-002", input=["hello from litellm"*5])

my ($embedding1, $embedding2) = map { $nginx->post('/v1/embeddings', {
    model => 'text-embedding-ada-002',
    input => ['hello from litellm' x 5] }) } 1, 2;

is($mock->count, 3, 'embedding: one call');
is_deeply($embedding2->json->{data}, $embedding1->json->{data},
    'embedding: equal vectors');
is($embedding2->json->{cache}, json_true, 'embedding: marked');

# caching=True, caching=False

sub completion {
    my (%more) = @_;

    return $nginx->post('/asked' . chat_uri(), { @JOKE,
        temperature => 0.1, %more });
}

is_miss(completion(caching => json_true), 'caching: true, first');

my $cached = completion(caching => json_true);

is($cached->cache, 'HIT', 'caching: true');
unlike($mock->last_request->{body}, qr/caching/,
    'caching: not known to the provider');
is_bypass(completion(caching => json_false), 'caching: false');
is_bypass(completion(), 'caching defaults to false');
isnt(completion()->body, $cached->body, 'caching: a fresh answer');

# custom_get_cache_key: model + messages + temperature + logit_bias

sub custom {
    my (%more) = @_;

    return $nginx->post('/custom' . chat_uri(), { @JOKE, temperature => 0.1,
        logit_bias => { 100 => 5 }, %more });
}

my $custom = custom();

is_miss($custom, 'custom key');
is_hit(custom(top_p => 0.5, seed => 9), $custom,
    'custom key: what is not in it');
is_miss(custom(model => 'gpt-4'), 'custom key: model');
is_miss(custom(messages => [{ role => 'user', content => 'Another.' }]),
    'custom key: messages');
is_miss(custom(temperature => 0.2), 'custom key: temperature');
is_miss(custom(logit_bias => { 100 => 6 }), 'custom key: logit_bias');

finish();
