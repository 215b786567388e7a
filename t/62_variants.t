# llm_cache_variants: several answers to one request, in turn.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $mock = mock();

my $nginx = nginx(workers => 2,
    http => 'llm_cache_zone zone=plain:8m; llm_cache_zone zone=packed:8m'
        . ' compress=on;', server => <<'END', location => <<'END2');
    llm_cache on zone=plain;
    llm_cache_namespace all;
    location /packed/ {
        llm_cache on zone=packed;
        llm_cache_variants 2;
        proxy_pass http://llm;
    }
END
    llm_cache_variants 3;
    if ($http_x_one) {
        llm_cache_variants 1;
        proxy_pass http://llm;
    }
END2

sub ask { my ($prompt, %more) = @_; return $nginx->post(chat_uri(),
    chat($prompt, %more)) }

sub statuses { return join ' ', map { $_->cache } @_ }

# in turn

my @answers = map { ask('turns') } 1 .. 9;

is(statuses(@answers), 'MISS MISS MISS' . ' HIT' x 6, 'three calls');
is($answers[$_]->body, $answers[$_ - 3]->body, "answer $_ in its turn")
    for 3 .. 8;

my %seen = map { $_->body => 1 } @answers;
my %keys = map { $_->header('X-LLM-Cache-Key') => 1 } @answers;

is(scalar keys %seen, 3, 'three answers');
is(scalar keys %keys, 3, 'three keys');

# two prompts in alternation do not take each other's turns

my @one = map { ask($_ % 2 ? 'odd' : 'even') } 0 .. 11;

is(statuses(@one), 'MISS ' x 6 . join(' ', ('HIT') x 6), 'alternating');
is($one[$_]->body, $one[$_ - 6]->body, "alternating: $_") for 6 .. 11;

# without randomness there is nothing to vary

my @zero = map { ask('zero', temperature => 0) } 1 .. 4;

is(statuses(@zero), 'MISS HIT HIT HIT', 'temperature 0');

# where there is one variant it is the first

my $first = $nginx->post(chat_uri(), chat('turns'), headers =>
    { 'X-One' => 1 });

is($first->cache, 'HIT', 'one variant: hit');
is($first->body, $answers[0]->body, 'one variant: the first');

# in the other form

my @forms = map { $nginx->post(chat_uri(), chat('forms', stream => $_
    ? json_true : json_false)) } 0, 0, 0, 1, 1, 1, 0, 0, 0;

is(statuses(@forms), 'MISS MISS MISS' . ' HIT' x 6, 'forms: three calls');
like($forms[3 + $_]->body, qr/\[DONE\]/, "forms: a stream of $_") for 0 .. 2;
is($forms[6 + $_]->body, $forms[$_]->body, "forms: JSON of $_") for 0 .. 2;

# simultaneous requests

my @clients = map { $nginx->client } 1 .. 4;

is(calls(sub {
    $_->send($nginx->request_text(chat_uri(), chat('at once'),
        mock => { hold => [0, 'once'] })) for @clients;
    ok($mock->wait_for(sub { $mock->waiting('once') }), 'at once: a call');
    pause(0.2);
    $mock->release('once');
    is(join(' ', sort map { $_->response->cache } @clients),
        'MISS SHARED SHARED SHARED', 'at once: one leads');
}), 1, 'at once: one call');

$_->close for @clients;

# refused answers take no turn

is(statuses(map { $nginx->post(chat_uri(), chat('refused'),
    mock => { finish => 'filter' }) } 1 .. 4), 'MISS MISS MISS MISS',
    'refused');

# a record that is packed goes on where it was

my @packed = ('/packed' . chat_uri(), chat('packed'));
my @both = map { $nginx->post(@packed, mock => { repeat => 100 }) } 1, 2;

is(statuses(@both), 'MISS MISS', 'packed: two calls');
ok($nginx->wait_until(sub { ($nginx->post(@packed,
    headers => { 'Accept-Encoding' => 'gzip' })
    ->header('Content-Encoding') // '') eq 'gzip' }), 'packed: packed');

my @next = map { $nginx->post(@packed) } 1 .. 4;

is(statuses(@next), 'HIT HIT HIT HIT', 'packed: hits');
is($next[2]->body, $next[0]->body, 'packed: in turn');
isnt($next[1]->body, $next[0]->body, 'packed: two answers');

finish();
