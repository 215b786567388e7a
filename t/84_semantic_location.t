# llm_cache_embed /LOCATION: vectors of an embeddings API, and what happens
# when it fails, is slow, or answers something else.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use IO::Socket::INET ();

use LLMTest;

my $mock = mock();

# who never answers

my $silent = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0,
    Listen => 64) or die "listen: $@\n";
my $port = $silent->sockport;

my @names = qw(api proxied garbage short long failing slow wordy nowhere
    broken);
my $locations = join '', map { <<"END" } @names;
    location /$_/ {
        llm_cache on;
        llm_cache_semantic on;
        llm_cache_embed /embed/$_ model=m-1 dimensions=3 timeout=300ms;
        proxy_pass http://llm;
    }
END

my $nginx = nginx(location => 'llm_cache on;', workers => 1, level => 'info',
    allow => qr/llm cache: (?:".*" gave no vector|a text was not)/,
    http => <<'END', servers => <<'END1', server => $locations . <<"END2");
    map $request_body $vector {
        default "0,0,1";
        "~automobile" "1,0.1,0";
        "~car" "1,0,0";
        "~cheese" "0,2,0";
    }
    log_format embed escape=json '$request_body|$http_authorization|'
        '$http_x_secret|$content_type|$request_method';
    log_format told escape=json '$http_x_told|$http_x_forwarded_for|'
        '$http_x_team';
END
    server {
        listen 127.0.0.1:%PORT%;
        server_name api;
        location / {
            access_log %PREFIX%/logs/embed.log embed;
            proxy_pass http://127.0.0.1:%PORT%;
            proxy_set_header Host api-behind;
        }
    }
    server {
        listen 127.0.0.1:%PORT%;
        server_name api-behind;
        location / {
            proxy_pass http://llm;
        }
    }
    server {
        listen 127.0.0.1:%PORT%;
        server_name told;
        location / {
            access_log %PREFIX%/logs/told.log told;
            return 200 '{"data":[{"embedding":[1,0,0]}]}';
        }
    }
END1
    location /embed/api {
        internal;
        return 200 '{"object":"list","data":[{"index":0,"embedding":[\$vector]}]}';
    }
    location /embed/proxied {
        internal;
        proxy_set_header Host api;
        proxy_set_header X-Secret key;
        proxy_pass http://127.0.0.1:%PORT%/v1/embeddings;
    }
    location /told/ {
        llm_cache on;
        llm_cache_semantic on;
        llm_cache_embed /embed/told dimensions=3;
        llm_cache_scope \$http_x_team;
        set \$told question;
        proxy_set_header X-Told \$told;
        proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;
        proxy_pass http://llm;
    }
    location /embed/told {
        internal;
        set \$told embedding;
        proxy_set_header Host told;
        proxy_set_header X-Told \$told;
        proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;
        proxy_set_header X-Team \$http_x_team;
        proxy_pass http://127.0.0.1:%PORT%;
    }
    location /embed/garbage { internal; return 200 'garbage'; }
    location /embed/short {
        internal;
        return 200 '{"data":[{"embedding":[1,0]}]}';
    }
    location /embed/long {
        internal;
        return 200 '{"data":[{"embedding":[1,0,0,0]}]}';
    }
    location /embed/failing { internal; return 500; }
    location /embed/wordy {
        internal;
        return 200 '{"data":[{"embedding":["1","0","0"]}]}';
    }
    location /embed/broken {
        internal;
        proxy_pass http://llm/v1/embeddings;
    }
    location /embed/slow {
        internal;
        proxy_read_timeout 1s;
        proxy_pass http://127.0.0.1:$port;
    }
END2

sub ask {
    my ($prefix, $prompt, %option) = @_;

    return $nginx->post("/$prefix" . chat_uri(), chat($prompt), %option);
}

# it works

my $first = ask('api', 'how to fix a car');
my $calls = calls(sub {
    my $hit = ask('api', 'how to fix an automobile');

    is($hit->cache, 'SEMANTIC', 'another word of the same vector');
    is($hit->body, $first->body, 'the answer');
    like($hit->header('X-LLM-Cache-Similarity'), qr/^0\.99\d$/,
        'the similarity');
});

is($calls, 0, 'no call upstream');
is($first->cache, 'MISS', 'the first one');
is(ask('api', 'how to fix a car')->cache, 'HIT', 'the same question');
is(ask('api', 'how to make cheese')->cache, 'MISS', 'another vector');
is(ask('api', 'how to fix 2 automobiles')->cache, 'MISS', 'a guard');
is(ask('api', 'how to fix a great automobile',
    headers => { 'X-LLM-Cache-Threshold' => '0.999' })->cache, 'MISS',
    'a higher threshold');
is(ask('api', 'streamed car', headers => { 'Cache-Control' => 'no-cache' })
    ->cache, 'BYPASS', 'no-cache');

my $stream = $nginx->post('/api' . chat_uri(), chat('what is a boat',
    stream => \1));

is($stream->cache, 'MISS', 'a stream');
is($nginx->post('/api' . chat_uri(), chat('what is the boat',
    stream => \1))->body, $stream->body, 'a stream of the same vector');

# many at a time

my @streams = map { $nginx->client } 1 .. 20;

$_->send($nginx->request_text('/api' . chat_uri(),
    chat('how to sell a car'))) for @streams;
is(scalar(grep { $_->response->status == 200 } @streams), 20,
    'many equal questions at a time');
$_->close for @streams;

# whatever it does, the request is answered

my @bad = qw(garbage short long failing wordy nowhere slow);

for my $name (@bad) {
    my $one = ask($name, 'how to fix a car');

    is($one->status, 200, "$name: answered");
    is($one->cache, 'MISS', "$name: a miss");
    is(ask($name, 'how to fix a car')->cache, 'HIT', "$name: it is stored");
    is(ask($name, 'how to fix an automobile')->cache, 'MISS',
        "$name: and serves no other question");
}

# a chunk that cannot be read

$mock->next({ framing => 'raw', body => qq(8\r\n{"data":\r\nzz\r\n),
    headers => [['Transfer-Encoding', 'chunked']] });

my $broken = ask('broken', 'how to fix a car');

is($broken->status, 200, 'broken: answered');
is($broken->cache, 'MISS', 'broken: a miss');

# what the API is asked

ask('proxied', 'What is "there"?');

my $log = $nginx->prefix . '/logs/embed.log';

$nginx->wait_until(sub { -s $log });

open my $file, '<', $log or die "$log: $!\n";
my @lines = <$file>;
close $file;

is(scalar @lines, 1, 'one call for one question');
like($lines[0], qr/^\Q{\"input\":\"What is \\\"there\\\"?\",\"model\":\"m-1\"}\E\|\|key\|application\/json\|POST$/,
    'OpenAI\'s format, and nothing of the client\'s headers');

# what the location sets, and what nginx finds in its request, is its own

my $told = ask('told', 'how to fix a car', headers => {
    'X-Forwarded-For' => '192.0.2.1', 'X-Team' => 'red' });

is($told->cache, 'MISS', 'variables: a miss');
is_deeply([map { scalar LLMTest::Mock::request_header($mock->last_request,
    $_) } 'X-Told', 'X-Forwarded-For'],
    ['question', '192.0.2.1, 127.0.0.1'], 'variables: those of the request');

my $told_log = $nginx->prefix . '/logs/told.log';

$nginx->wait_until(sub { -s $told_log });
is(LLMTest::Nginx::slurp($told_log), "embedding|127.0.0.1|\n",
    'variables: those of the location');

# clients that leave meanwhile

for (1 .. 5) {
    my $client = $nginx->client;

    $client->send($nginx->request_text('/slow' . chat_uri(),
        chat("left alone $_")));
    pause(0.02);
    $client->close;
}

pause(0.5);
is(ask('api', 'how to sell an automobile')->status, 200,
    'clients that left while they waited');

for my $bad ('/e dimensions=1', '/e dimensions=5000', '/e timeout=x',
    '/e model=', '/e nonsense')
{
    my ($code, $said) = nginx_t(location => "llm_cache_embed $bad;");

    isnt($code, 0, "$bad: refused");
    like($said, qr/invalid value ".*" in "llm_cache_embed"/, 'the message');
}

finish();
