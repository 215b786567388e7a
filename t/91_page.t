# The status page: who gets it, under which policy, and in a browser, that it
# tells what the JSON tells.
#
# The browser is Debian's Chromium, driven by playwright-core, which comes from
# npm into build/browser as t/browser/package-lock.json says.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use Digest::SHA qw(sha256_base64);

use LLMTest;
use LLMTest::Npm;
use LLMTest::Redis;

my $source = "$FindBin::Bin/../ngx_http_llm_cache_module";

my @html = (headers => { Accept =>
    'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' });

my $mock = mock();
my $redis = LLMTest::Redis->new;
my $port = $redis->port;

my $nginx = nginx(workers => 2, no_location => 1, server => <<"END",
    location /api { llm_cache_api; }
    location /slash/ { llm_cache_api; }
    location = /exact { llm_cache_api; }

    location /strict {
        add_header Content-Security-Policy "default-src 'self'";
        llm_cache_api;
    }

    location / {
        llm_cache on zone=main;
        llm_cache_price gpt-4o-mini 2.5 10;
        llm_cache_redis redis://127.0.0.1:$port;
        proxy_pass http://llm;
    }

    location /meaning/ {
        llm_cache on zone=main;
        llm_cache_semantic on;
        proxy_pass http://llm;
    }

    location '/"quotes" <img src=x onerror=evil=1>/' {
        llm_cache on zone=main;
        proxy_pass http://llm;
    }

    location /observed/ {
        llm_cache observe zone=main;
        llm_cache_price * 1 2;
        proxy_pass http://llm;
    }

    location /idle/ {
        llm_cache on zone=idle;
        proxy_pass http://llm;
    }
END
    http => 'llm_cache_zone zone=main:4m; llm_cache_zone zone=idle:1m;');

my $empty = nginx(no_location => 1,
    server => 'location /api { llm_cache_api; }');

# the page is the file's bytes, also when it has been changed

my $file = LLMTest::Nginx::slurp("$source/page.html");
my $page = $nginx->get('/api', @html);

is($page->status, 200, 'the page');
is($page->header('Content-Type'), 'text/html; charset=utf-8', 'its type');
is($page->body, $file, 'its bytes');
is($page->header('Cache-Control'), 'no-store', 'it is not kept');
is($page->header('Vary'), 'Accept', 'it depends on Accept');
is($page->header('X-Content-Type-Options'), 'nosniff', 'its type is right');
is($page->header('Referrer-Policy'), 'no-referrer', 'it tells nobody');

# nothing in it comes from elsewhere, and all of it is in its policy

unlike($file, qr{\b(?:src|srcset|action|data)=}, 'no address of a resource');
is_deeply([grep { $_ !~ m{^http://www\.w3\.org/2000/svg$} }
    $file =~ m{((?:https?:)?//[a-z][\w./-]+)}g], [], 'no other address');
unlike($file, qr/innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval/,
    'text is never HTML');
is(scalar(() = $file =~ /<$_[ >]/g), 1, "one $_") for qw(script style);
unlike($file, qr/<[^>]*\s(?:style|on\w+)=/, 'no style and no script in a tag');

my %digest = map { my ($text) = $file =~ m{<$_>(.*)</$_>}s;
    ($_ => sha256_base64($text) . '=') } qw(script style);

is($page->header('Content-Security-Policy'), "default-src 'none'; "
    . "script-src 'sha256-$digest{script}'; "
    . "style-src 'sha256-$digest{style}'; connect-src 'self'; img-src data:; "
    . "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    'the policy');

# who gets it

for my $case (
    [undef, 'json'], ['', 'json'], ['*/*', 'json'],
    ['application/json', 'json'], ['text/html', 'html'],
    ['TEXT/HTML;level=1', 'html'], ['text/*', 'json'],
    ['text/html;q=0', 'json'], ['text/html; q=0.5', 'html'],
    ['text/html;q=0.5, application/json', 'json'],
    ['application/json;q=0.1,text/html ; q=0.9', 'html'],
    ['application/json,text/html', 'json'], ['text/htmlx', 'json'],
    ['image/png, text/html', 'html'], ['text/html;q=one', 'json'],
    [' , ,', 'json'], ['text/html;q=', 'json'], ['text/html;q', 'html'])
{
    my ($accept, $type) = @$case;
    my $answer = $nginx->get('/api', headers => { Accept => $accept });

    is(join(' ', $answer->status, $answer->header('Content-Type') =~
        /(json|html)/, $answer->header('Cache-Control'),
        $answer->header('Vary')), "200 $type no-store Accept",
        'Accept: ' . ($accept // 'none'));
}

for my $path (qw(/api/ /slash/)) {
    is($nginx->get($path, @html)->body, $file, "GET $path");
}

for my $path (qw(/api/status /api/metrics /exact /api/nothing)) {
    unlike($nginx->get($path, @html)->header('Content-Type'), qr/html/,
        "GET $path: no page");
}

my $head = $nginx->get('/api', @html, method => 'HEAD');

is($head->status, 200, 'HEAD');
is($head->body, '', 'HEAD: no body');
is($head->header('Content-Length'), length $file, 'HEAD: its length');
is($head->header('Content-Security-Policy'),
    $page->header('Content-Security-Policy'), 'HEAD: its policy');
is($nginx->request('/api', '{}', @html)->status, 405, 'POST');

# every reason has its explanation

my ($reasons) = $file =~ /^const REASONS = \{\n(.*?)^\};/ms;

my @reasons = LLMTest::Nginx::slurp("$source/llm_reason.h")
    =~ /^ +_\(\w+, "(\w+)"\)/mg;

ok(@reasons, 'there are reasons');
is_deeply([grep { $reasons !~ /^    $_: '/m } @reasons], [],
    'every one is explained');

# something to show

my @models = qw(gpt-4o-mini gpt-4o o4-mini);

for my $i (0 .. 29) {
    $nginx->post(chat_uri(), chat('q' . $i % 10, model => $models[$i % 3],
        $i % 4 ? () : (stream => json_true)));
}

$nginx->post(chat_uri(), chat('q', model => '<img src=x onerror=evil=1>'))
    for 1, 2;
$nginx->post('/%22quotes%22%20%3Cimg%20src=x%20onerror=evil=1%3E' . chat_uri(),
    chat('q')) for 1 .. 3;
$nginx->post(chat_uri(), chat('q' . $_), headers => { 'Cache-Control' =>
    'no-cache' }) for 1 .. 4;
$nginx->post(chat_uri(), chat('failed'), mock => { status => 500 })
    for 1 .. 3;
$nginx->post(chat_uri(), 'not JSON');
$nginx->post('/meaning' . chat_uri(), chat("How do I reset the password $_?"))
    for 'of my account', 'for my account', 'of account 7';
$nginx->post('/observed' . chat_uri(), chat('q' . $_ % 3)) for 1 .. 8;
$nginx->post('/observed' . chat_uri(), chat('failed'),
    mock => { status => 500 });
$nginx->post('/observed' . chat_uri(), 'not JSON');
$nginx->logged($nginx->get('/api'));

# in a browser

my ($chrome) = grep { -x } map { ("$_/chromium", "$_/chromium-browser",
    "$_/google-chrome") } split /:/, $ENV{PATH};

ok($chrome, 'there is a browser');
ok(LLMTest::Npm::install('browser'), 'what drives it is installed');

my $url = 'http://127.0.0.1:' . $nginx->port;

my ($passed, $output) = LLMTest::Npm::run('browser', 'page.test.mjs',
    PAGE => "$url/api", POLICY => "$url/strict", ASK => $url . chat_uri(),
    CHROME => $chrome, EMPTY => 'http://127.0.0.1:' . $empty->port . '/api');

ok($passed, 'in a browser: ' . ($passed // 'no') . ' tests')
    or diag($output);

finish();
