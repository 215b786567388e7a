# Every file of examples/: nginx accepts it as it stands, and with its
# upstreams replaced by the mock LLM it caches.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use File::Copy qw(copy);
use File::Temp qw(tempdir);
use LLMTest;

my $examples = "$FindBin::Bin/../examples";
my $mock = mock();

my %headers = (
    'tenants.conf' => { Authorization => 'Bearer key-of-team-red' },
);
my %prefix = ('gateway-headers.conf' => '/cloudflare');


# what an example takes for granted: file names, a resolver, certificates

my $place = tempdir(CLEANUP => 1);

chmod 0755, $place;
copy($_, $place) for glob "$examples/*.js";
system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    . " -keyout $place/llm.key -out $place/llm.crt >/dev/null 2>&1") == 0
    or BAIL_OUT('openssl makes no certificate');


sub js_module {
    my $binary = $ENV{TEST_NGINX_BINARY} || 'nginx';
    my ($path) = `$binary -V 2>&1` =~ /--modules-path=(\S+)/ or return undef;
    my $file = "$path/ngx_http_js_module.so";

    return -e $file ? $file : undef;
}


sub read_example {
    my ($file) = @_;

    open my $handle, '<', $file or die "$file: $!\n";
    local $/;

    my $text = <$handle>;
    my $module = LLMTest::Nginx::load_module();
    my $js = js_module();

    $text =~ s/^load_module .*ngx_http_llm_cache_module.*\n/$module/m;

    if ($text =~ /ngx_http_js_module/) {
        return undef if !defined $js;
        $text =~ s/^load_module .*ngx_http_js_module.*\n/load_module $js;\n/m;
    }

    # where this nginx may write

    my $user = $> == 0 ? "user root;\n" : '';
    my $temp = join '', map { "${_}_temp_path %PREFIX%/$_;\n" }
        qw(client_body proxy fastcgi uwsgi scgi);

    my $main = "${user}daemon off;\npid %PREFIX%/nginx.pid;\n"
        . "error_log %PREFIX%/logs/error.log info;\n";

    $temp .= "access_log off;\n" if $text !~ /access_log/;

    $text =~ s/^events/${main}events/m;
    $text =~ s/^(http .*\n)/$1$temp/m;
    $text =~ s|/var/log/nginx/|%PREFIX%/logs/|g;
    $text =~ s{(ssl_certificate(?:_key)?\s+)}{$1$place/}g;
    $text =~ s{(js_import \w+ from )}{$1$place/};
    $text =~ s{^(worker_processes) .*;}{$1 1;}m;

    return $text;
}


# the same with the mock as every upstream, on a port of the test's

sub with_mock {
    my ($text) = @_;

    $text =~ s{listen [^;]*;}{listen 127.0.0.1:%PORT%;}g;
    $text =~ s{proxy_pass https?://[^/;]+}{proxy_pass http://%MOCK%}g;
    $text =~ s{^\s*ssl_certificate.*\n}{}mg;

    return $text;
}


for my $file (sort glob "$examples/*.conf") {
    my ($name) = $file =~ m{([^/]+)$};
    my $text = read_example($file);

    SKIP: {
        skip("$name: this nginx has no njs module", 1) if !defined $text;

        my ($code, $said) = nginx_t(conf => $text);

        is($code, 0, "$name is accepted") or diag($said);
        unlike($said, qr/\[warn\](?!.*http2)/, "$name gives no warning");

        my $nginx = nginx(conf => with_mock($text));

        is_cached($nginx, $name, ($prefix{$name} // '') . chat_uri(),
            chat("Hello, $name"), headers => $headers{$name});
    }
}


# what each example is for

sub example {
    my ($name) = @_;

    return nginx(conf => with_mock(read_example("$examples/$name")));
}

my $nginx = example('tenants.conf');
my @question = (chat_uri(), chat('Whose answer?'));
my @red = (headers => { Authorization => 'Bearer key-of-team-red' });
my @blue = (headers => { Authorization => 'Bearer key-of-team-blue' });
my @none = (headers => { Authorization => 'Bearer key-of-nobody' });

is_miss($nginx->post(@question, @red), 'the first team');
is_miss($nginx->post(@question, @blue), 'another team');
is($nginx->post(@question, @none)->status, 401, 'nobody');
is($nginx->post('/public' . chat_uri(), chat('All'), @none)->cache, 'MISS',
    'public: first');
is($nginx->post('/public' . chat_uri(), chat('All'), @blue)->cache, 'HIT',
    'public: another caller');

$nginx = example('prices.conf');
$nginx->post(chat_uri(), chat('What is this worth?')) for 1, 2;
cmp_ok(from_json($nginx->get('/llm-cache/status')->body)->{zones}[0]{saved}
    {cost}, '>', 0, 'prices: something is saved');

$nginx = example('per-model-ttl.conf');

for my $case (['some-preview', ''], ['gpt-4o-2024-08-06', 7 * 86400],
    ['gpt-4o', 3600])
{
    my ($model, $lifetime) = @$case;
    my @request = (chat_uri(), chat('How long?', model => $model));

    $nginx->post(@request);

    my ($ttl) = ($nginx->post(@request)->header('Cache-Status') // '')
        =~ /ttl=(\d+)/;

    $ttl //= '';
    ok($lifetime eq '' ? $ttl eq '' : $ttl ne '' && $lifetime - $ttl <= 60
        && $ttl <= $lifetime, "$model: lifetime '$ttl'");
}

$nginx = example('gateway-headers.conf');

# what the cache said to requests with these headers in turn

sub said {
    my ($gateway, @headers) = @_;

    my @request = ("/$gateway" . chat_uri(), chat("$gateway @{[rand]}"));

    return join ' ', map { $nginx->post(@request, headers => $_)->cache
        // 'none' } @headers;
}

my %skip = ('cf-aig-skip-cache' => 'true');
my %portkey = ('x-portkey-cache-namespace' => 'one');
my %bifrost = ('x-bf-cache-key' => 'one');

is(said('cloudflare', {}, \%skip, {}), 'MISS BYPASS HIT', 'Cloudflare: skip');
is(said('cloudflare', { 'cf-aig-cache-ttl' => 1 }), 'MISS',
    'Cloudflare: ttl');
is(said('cloudflare', { 'cf-aig-cache-key' => 'k' }, {},
    { 'cf-aig-cache-key' => 'k' }), 'MISS MISS HIT', 'Cloudflare: key');
is($nginx->post('/cloudflare' . chat_uri(), chat('Another question'),
    headers => { 'cf-aig-cache-key' => 'k' })->cache, 'HIT',
    'Cloudflare: the key is all that counts');

is(said('helicone', {}, {}), 'BYPASS BYPASS', 'Helicone: not asked for');
is(said('helicone', map { { 'Helicone-Cache-Enabled' => 'true',
    'Helicone-Cache-Seed' => $_ } } qw(a b a)), 'MISS MISS HIT',
    'Helicone: enabled, with a seed');

is(said('portkey', {}, \%portkey, \%portkey,
    { %portkey, 'x-portkey-cache-force-refresh' => 'true' }, {}),
    'MISS MISS HIT BYPASS HIT', 'Portkey');

is(said('openrouter', {}, {}), 'BYPASS BYPASS', 'OpenRouter: not asked for');
is(said('openrouter', map { { 'X-OpenRouter-Cache' => 'true', %$_ } } {}, {},
    { 'X-OpenRouter-Cache-Clear' => 'true' }, {}), 'MISS HIT BYPASS HIT',
    'OpenRouter: enabled');

is(said('bifrost', {}, {}), 'BYPASS BYPASS', 'Bifrost: no key');
is(said('bifrost', \%bifrost, { 'x-bf-cache-key' => 'two' }, \%bifrost),
    'MISS MISS HIT', 'Bifrost: keys');
is(said('bifrost', { %bifrost, 'x-bf-cache-no-store' => 'true' }, \%bifrost),
    'MISS MISS', 'Bifrost: no-store');

# lifetimes that clients ask for

for my $case (['cloudflare', 'cf-aig-cache-ttl', '', 3600],
    ['cloudflare', 'cf-aig-cache-ttl', '120', 120],
    ['cloudflare', 'cf-aig-cache-ttl', '99999999', 3600],
    ['openrouter', 'X-OpenRouter-Cache-TTL', '', 300],
    ['openrouter', 'X-OpenRouter-Cache-TTL', '600', 600],
    ['bifrost', 'x-bf-cache-ttl', '10m', 600],
    ['bifrost', 'x-bf-cache-ttl', '90', 90],
    ['bifrost', 'x-bf-cache-ttl', 'ever', 300])
{
    my ($gateway, $name, $value, $lifetime) = @$case;
    my @request = ("/$gateway" . chat_uri(), chat("$gateway $value"),
        headers => { $name => $value, 'X-OpenRouter-Cache' => 'true',
            'x-bf-cache-key' => 'ttl' });

    $nginx->post(@request);

    my ($ttl) = ($nginx->post(@request)->header('Cache-Status') // '')
        =~ /ttl=(\d+)/;

    ok(defined $ttl && $ttl <= $lifetime && $ttl > $lifetime - 60,
        "$name: '$value' is " . ($ttl // 'nothing'));
}

# a log in JSON

$nginx = example('json-log.conf');

my %asked = map { $_ => $nginx->post(chat_uri(), chat("Log \"this\"",
    model => "gpt-4o-mini-\x{e9}\"\\")) } qw(MISS HIT);

$nginx->get('/v1/models');
ok($nginx->quit, 'the log is written when nginx stops');

my $logged = LLMTest::Nginx::slurp($nginx->prefix . '/logs/llm.json');
my %line = map { $_->{cache} => $_ } map { from_json($_) } split /\n/, $logged;

is(join(' ', sort keys %line), 'BYPASS HIT MISS', 'JSON log: three lines');
is($line{$_}{key}, $asked{$_}->header('X-LLM-Cache-Key'), "JSON log: $_: key")
    for qw(MISS HIT);
is($line{HIT}{tier}, 'memory', 'JSON log: tier');
is($line{HIT}{model}, "gpt-4o-mini-\x{e9}\"\\", 'JSON log: model');
cmp_ok($line{HIT}{saved_tokens}, '>', 0, 'JSON log: saved tokens');
cmp_ok($line{HIT}{saved_cost}, '>', 0, 'JSON log: saved cost');
is($line{MISS}{saved_tokens}, 0, 'JSON log: nothing saved by a miss');
is($line{BYPASS}{reason}, 'method', 'JSON log: reason');
is($line{BYPASS}{age}, undef, 'JSON log: no age');
like($logged, qr/"status": 200, .*"age": \d+, "ttl": \d+, .*_tokens": \d/,
    'JSON log: numbers are numbers');

my ($format) = read_example("$examples/json-log.conf")
    =~ /^(.*)^\s+server \{/ms;
my ($variables) = LLMTest::Nginx::slurp("$examples/../docs/directives.md")
    =~ /^## Variables$(.*?)^## /ms;

for my $name ($variables =~ /^\| `\$(llm_cache_\w+)` \|/mg) {
    next if $name =~ /^llm_cache_(?:zone|redis|semantic)_(?!time$)/;
    like($format, qr/\$$name\b/, "JSON log: $name is in it");
}

# whole configurations in the documentation

for my $page (glob "$examples/../docs/*.md") {
    my ($name) = $page =~ m{([^/]+)$};

    for my $text (LLMTest::Nginx::slurp($page)
        =~ /^```nginx\n(http \{\n.*?)^```/msg)
    {
        open my $file, '>', "$place/page.conf" or die "page.conf: $!\n";
        print $file "load_module ngx_http_llm_cache_module.so;\n"
            . "events {\n}\n$text";
        close $file;

        my ($code, $said) = nginx_t(conf => read_example("$place/page.conf"));

        is($code, 0, "$name: a configuration is accepted") or diag($said);
    }
}

SKIP: {
    skip('this nginx has no njs module', 4) if !defined js_module();

    $nginx = example('custom-key-njs.conf');

    my $ask = sub {
        my ($time, $text) = @_;

        return $nginx->post(chat_uri(), chat('Hi', messages => [
            { role => 'system', content => "Current time: $time\nBe brief." },
            { role => 'user', content => $text } ]));
    };

    my $first = $ask->('2026-01-31T12:00:00Z', 'Hi');

    is_miss($first, 'njs key');
    is_hit($ask->('2026-01-31T12:00:07Z', 'Hi'), $first, 'a later time');
    is_miss($ask->('2026-01-31T12:00:07Z', 'Ho'), 'another question');
}

finish();
