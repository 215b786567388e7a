# llm_cache_embed static: a model of our own, and files that are none.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use File::Temp qw(tempdir);

use LLMTest;
use LLMTest::Model;

my $dir = tempdir(CLEANUP => 1);

my %MODEL = (car => [1, 0, 0, 0], automobile => [1, 0.05, 0, 0],
    fix => [0, 1, 0, 0], repair => [0, 1, 0.05, 0], house => [0, 0, 1, 0],
    how => [0, 0, 0, 0.1], to => [0, 0, 0, 0.1], my => [0, 0, 0.1, 0],
    2 => [0, 0, 0.1, 0], 3 => [0, 0, 0.1, 0]);

write_model("$dir/model", %MODEL);

my $mock = mock();

my $nginx = nginx(location => 'llm_cache on;', workers => 2,
    server => <<"END");
    llm_cache_semantic on;
    llm_cache_embed static $dir/model;
    location /lexical/ {
        llm_cache on;
        llm_cache_embed lexical;
        proxy_pass http://llm;
    }
    location /words/ {
        llm_cache on;
        llm_cache_semantic on guards=all;
        proxy_pass http://llm;
    }
END

sub ask {
    my ($prefix, $prompt) = @_;

    return $nginx->post($prefix . chat_uri(), chat($prompt));
}

my $first = ask('', 'how to fix my car');
my $hit = ask('', 'how to repair my automobile');

is($hit->cache, 'SEMANTIC', 'other words of the same meaning');
is($hit->body, $first->body, 'their answer');
like($hit->header('X-LLM-Cache-Similarity'), qr/^(?:0\.9\d\d|1\.000)$/,
    'their similarity');
is_miss(ask('', 'how to fix my house'), 'another meaning');
is_miss(ask('', 'how to fix my 2 car'), 'a guard');
is_miss(ask('', 'how to fix my 3 car'), 'a guard again');
is(ask('', 'zzz')->cache, 'MISS', 'nothing is known');
is(ask('', 'zzzz')->cache, 'MISS', 'and nothing like it');

ask('/words', 'how to fix my car');
is_miss(ask('/words', 'how to repair my automobile'), 'the guard for words');

ask('/lexical', 'how to fix my car');
is_miss(ask('/lexical', 'how to repair my automobile'), 'another embedder');
is(ask('/lexical', 'How to fix my car?')->cache, 'SEMANTIC', 'at its own');

# what is no model

sub refused {
    my ($name, $says, $conf) = @_;

    my ($code, $said) = nginx_t(location => "llm_cache on; $conf");

    isnt($code, 0, "$name: refused");
    like($said, $says, "$name: the message");

    return;
}

sub damaged {
    my ($name, $says, $file, $bytes) = @_;

    write_model("$dir/bad", %MODEL);
    LLMTest::Model::put("$dir/bad/$file", $bytes);

    refused($name, qr/"llm_cache_embed" cannot use the model ".*": $says/,
        "llm_cache_semantic on; llm_cache_embed static $dir/bad;");

    return;
}

damaged('no JSON', qr/tokenizer\.json is not JSON/, 'tokenizer.json', '{');
damaged('another tokenizer', qr/tokenizer\.json: its normalizer/,
    'tokenizer.json', '{"model":{"type":"Unigram"}}');
damaged('an empty file', qr/model\.safetensors is empty/,
    'model.safetensors', '');
damaged('no tensors', qr/model\.safetensors has no header/,
    'model.safetensors', "\xff" x 100);
damaged('a short file', qr/model\.safetensors: "embeddings" does not lie/,
    'model.safetensors', pack('Q<', 68)
    . '{"embeddings":{"dtype":"F32","shape":[11,4],'
    . '"data_offsets":[0,176]}}');
damaged('config.json', qr/config\.json: "normalize" is not a boolean/,
    'config.json', '{"normalize":"yes"}');
refused('no directory', qr/tokenizer\.json cannot be opened/,
    "llm_cache_semantic on; llm_cache_embed static $dir/none;");

# directives

refused("llm_cache_semantic $_",
    qr/invalid value ".*" in "llm_cache_semantic"/, "llm_cache_semantic $_;")
    for 'maybe', 'on threshold=0', 'on threshold=2', 'on threshold=x',
    'off threshold=1', 'on guards=', 'on guards=nonsense', 'on guards=all,-',
    'on nonsense';
refused("llm_cache_embed $_", qr/invalid value ".*" in "llm_cache_embed"/,
    "llm_cache_embed $_;") for 'static', 'lexical x', 'nonsense';

my ($code, $said) = nginx_t(location => 'llm_cache on; llm_cache_semantic on '
    . 'threshold=0.7 guards=all,-words,-length;');

is($code, 0, 'what is right is accepted') or diag($said);

for my $number (qw(15 131073 x)) {
    ($code, $said) = nginx_t(location => 'llm_cache on;',
        http => "llm_cache_zone zone=one:1m semantic=$number;");

    isnt($code, 0, "semantic=$number: refused");
    like($said, qr/invalid value "semantic=$number"/, 'the message');
}

finish();
