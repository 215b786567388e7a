# The index is built anew of what a state file or Redis has.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use File::Temp ();

use LLMTest;
use LLMTest::FakeRedis;
use LLMTest::Machine;
use LLMTest::Model;
use LLMTest::Redis;
use LLMTest::State;

my $embedder = mock();
my $mock = mock();
my $port = $embedder->port;

my $server = <<"END";
    llm_cache_semantic on;
    location = /count {
        llm_cache on zone=one;
        return 200 "\$llm_cache_semantic_embeds \$llm_cache_semantic_wrong";
    }
    location /static/ {
        llm_cache on zone=one;
        llm_cache_embed static %PREFIX%/logs/model;
        proxy_pass http://llm;
    }
    location /api/ {
        llm_cache on zone=one;
        llm_cache_embed /embed model=m dimensions=3;
        proxy_pass http://llm;
    }
    location /verified/ {
        llm_cache on zone=one;
        llm_cache_namespace verified;
        proxy_pass http://llm;
        if (\$http_x_verify) {
            llm_cache_semantic_verify 100%;
            proxy_pass http://llm;
        }
    }
    location /embed {
        internal;
        proxy_pass http://127.0.0.1:$port/v1/embeddings;
    }
END

sub vector { return { body => '{"data":[{"embedding":[' . join(',', @_)
    . ']}]}', type => 'application/json' } }

# the directory of the model has to be there before nginx starts

{
    package LLMTest::Rebuilt;

    our @ISA = qw(LLMTest::State);

    sub start {
        my ($self) = @_;

        my ($north, $east) = ([1, 0], [0, 1]);

        LLMTest::Model::write_model($self->prefix . '/logs/model',
            car => $north, automobile => $north, cheese => $east);

        return $self->SUPER::start;
    }
}

my %conf = LLMTest::State::conf('8m state=logs/one.state state_interval=0',
    server => $server, class => 'LLMTest::Rebuilt');
my $nginx = nginx(%conf);

ok($nginx->wait_until(sub { $nginx->loads }), 'the first start');

sub ask {
    my ($prefix, $prompt, %option) = @_;

    my $text = delete $option{text};

    $option{mock}{text} = $text if defined $text;

    return $nginx->post($prefix . chat_uri(), chat($prompt), %option);
}

sub key { return $_[0]->header('X-LLM-Cache-Key') }

sub count { return split ' ', $nginx->get('/count')->body }

my %first = ('' => ask('', 'What is the capital of France?'),
    '/static' => ask('/static', 'fix the car'));

$embedder->next(vector(3, 0, 0.1));
$first{'/api'} = ask('/api', 'how to fix a car');

ask('', 'Please call the tool for Paris', mock => { kind => 'tools' });

my $wrong = ask('/verified', 'How is cheese made?', text => 'Of milk.');
my $right = ask('/verified', 'how is chese made', text => 'Vines grow grapes.',
    headers => { 'X-Verify' => 1 });

ok($nginx->wait_until(sub { (count())[1] == 1 }), 'one is barred');
is(key(ask('/verified', 'How is cheese made')), key($right),
    'and serves no more');

ok($nginx->restart, 'restart');

my %again = ('' => 'whats the captial of France',
    '/static' => 'fix the automobile', '/api' => 'how to fix an automobile');

for my $prefix (sort keys %again) {
    my $name = $prefix || 'lexical';

    $embedder->next(vector(3, 0.1, 0)) if $prefix eq '/api';

    my $embedded = $embedder->count;
    my $calls = $mock->count;
    my $hit = ask($prefix, $again{$prefix});

    is($hit->cache, 'SEMANTIC', "$name: it is in the index again");
    is($hit->body, $first{$prefix}->body, "$name: the answer");
    is(key($hit), key($first{$prefix}), "$name: its key");
    is($mock->count, $calls, "$name: no call");
    is($embedder->count - $embedded, $prefix eq '/api' ? 1 : 0,
        "$name: what the API is asked");
}

is(ask('', 'please call the tool for paris!', mock => { kind => 'tools' })
    ->cache, 'MISS', 'calls of tools do not come back');

sub nearest { return ask('/verified', 'How is cheese made') }

is(nearest()->cache, 'SEMANTIC', 'the answer in place of a wrong one');
is(key(nearest()), key($right), 'the wrong one does not come back');
is_hit(ask('/verified', 'How is cheese made?'), $wrong, 'and is still there');
ask('/verified', 'How is cheese made?', text => 'Of milk and time.',
    headers => { 'Cache-Control' => 'no-cache' });
is(key(nearest()), key($right), 'nor what is stored in its place');

# another embedder, and one more time

(my $other = $server) =~ s/model=m /model=n /;

ok($nginx->restart(undef, %conf, server => $other), 'another model');
$embedder->next(vector(3, 0.1, 0));
is(ask('/api', 'how to fix an automobile')->cache, 'MISS',
    'its vectors are others');
is(ask('', 'whats teh captial of France')->cache, 'SEMANTIC',
    'those of another embedder are there');
is(key(nearest()), key($right), 'and the wrong one is still barred');

# it is of no use without the index

(my $none = $server) =~ s/llm_cache_semantic on/llm_cache_semantic off/;

ok($nginx->restart(undef, %conf, server => $none), 'without it');
is(ask('', 'What is the capital of France?')->cache, 'HIT', 'exact ones');

# barred while it is being packed

my $packed = nginx(LLMTest::State::conf('16m max_entry=4m compress=on'
    . ' state=logs/one.state state_interval=0', server => <<'END2'));
    llm_cache_semantic on;
    location /admin { llm_cache_api write=on; }
END2

my $long = $packed->post(chat_uri(), chat('How long is a long answer?'),
    mock => { size => 1_500_000 });

is($packed->post('/admin/report', { key => key($long) })->status, 200,
    'packed: reported at once');
ok($packed->wait_until(sub { $packed->get('/admin/keys/' . key($long))
    ->json->{compressed} }), 'packed: it is');
ok($packed->restart, 'packed: restart');
is($packed->post(chat_uri(), chat('how long is a long answer'))->cache, 'MISS',
    'packed: it is still barred');

# Redis: what another machine has fetched, once it was read

my $redis = LLMTest::Redis->new;
my $api = <<"END";
    llm_cache_semantic on;
    location /api/ {
        llm_cache_embed /embed model=m dimensions=3;
        proxy_pass http://llm;
    }
    location /embed {
        internal;
        llm_cache off;
        proxy_pass http://127.0.0.1:$port/v1/embeddings;
    }
    location /memory/ {
        llm_cache_redis off;
        proxy_pass http://llm;
    }
    location /write/ {
        llm_cache_api write=on;
    }
END
my ($one, $two) = map { machine($redis->url, server => $api) } 1, 2;

settle($_) for $one, $two;

for my $case (['', 'Who walked on the moon?', 'who walked on teh moon'],
    ['/api', 'how to fix a car', 'how to fix an automobile'])
{
    my ($prefix, @prompts) = @$case;
    my $name = $prefix || 'lexical';
    my @requests = map { [$prefix . chat_uri(), chat($_)] } @prompts;

    $embedder->next(vector(3, 0, 0.1)) if $prefix;

    my $moon = $one->post(@{$requests[0]});

    ok(stored($redis, 'llm:' . key($moon)), "$name: stored");

    my $embedded = $embedder->count;

    is_hit($two->post(@{$requests[0]}), $moon, "$name: the other machine's");
    is($embedder->count, $embedded, "$name: it is not embedded");
    $embedder->next(vector(3, 0.1, 0)) if $prefix;

    my $hit = $two->post(@{$requests[1]});

    is($hit->cache, 'SEMANTIC', "$name: it is in the index");
    is($hit->body, $moon->body, "$name: the answer");
}

# what is barred on one of them; what Redis does not have does not get there

my $memory = key($one->post('/memory' . chat_uri(), chat('Who stayed home?')));
my $walked = $two->post(chat_uri(), chat('Who walked on the moon?'));

sub serves_another {
    my ($machine) = @_;

    return $machine->post(chat_uri(), chat('who walked on teh moon'),
        headers => { 'Cache-Control' => 'only-if-cached' })->cache eq
        'SEMANTIC';
}

ok(serves_another($two), 'before the report');
is($one->post('/write/report', to_json({ key => $_ }))->status, 200,
    'a report') for $memory, key($walked);
ok(!serves_another($one), 'it serves no other question');
ok($two->wait_until(sub { !serves_another($two) }),
    'nor on the other machine');
is($redis->command('EXISTS', "llm:$memory"), 0, 'what is not in Redis');
is_hit($two->post(chat_uri(), chat('Who walked on the moon?')), $walked,
    'but its own');
ok(!serves_another($two), 'nor once it was read again');

my $three = machine($redis->url, server => $api);

settle($three);
is_hit($three->post(chat_uri(), chat('Who walked on the moon?')), $walked,
    'a machine that knows of nothing');
ok(!serves_another($three), 'nor there');

# what was deleted in Redis while a machine was away does not come back when
# that machine, which has it in its state file, bars it

my $away = nginx(LLMTest::State::conf('8m state=logs/one.state '
    . 'state_interval=0', location => 'llm_cache on zone=one; '
    . 'llm_cache_semantic on; llm_cache_redis ' . $redis->url . ';',
    server => 'location /write/ { llm_cache on zone=one; llm_cache_api '
    . 'write=on; llm_cache_redis ' . $redis->url . '; }'));
my $gone = key($away->post(chat_uri(), chat('Who went away?')));

ok(stored($redis, "llm:$gone"), 'it is in Redis');
$away->quit('QUIT');
is($redis->command('DEL', "llm:$gone"), 1, 'and deleted there');
ok($away->start_loaded, 'the machine comes back');
is($away->post('/write/report', to_json({ key => $gone }))->status, 200,
    'and bars it');

my $after = key($away->post(chat_uri(), chat('Who comes after that?')));

ok(stored($redis, "llm:$after"), 'what is stored after that is in Redis');
is($redis->command('EXISTS', "llm:$gone"), 0, 'but not what was deleted');

# what Redis has lost meanwhile is not brought back

my @lost = (chat_uri(), chat('Who flew around the world?'));
my $lost = key($one->post(@lost));

ok(stored($redis, "llm:$lost"), 'stored');
$redis->stop('KILL');
ok($redis->start, 'Redis starts empty');
settle($one);
is($one->post('/write/report', to_json({ key => $lost }))->status, 200,
    'reported');
ok(stored($redis, 'llm:' . key($one->post(chat_uri(),
    chat('Who comes later?')))), 'what comes later is stored');
is($redis->command('EXISTS', "llm:$lost"), 0, 'what was reported is not');

# not even where the word of it is still on its way: a barred record only
# replaces what is there

my $sets = File::Temp->new;

sub answer {
    my ($port, $socket, $rest, $name, @words) = @_;

    if ($name eq 'SET') {
        open my $out, '>>', "$sets" or die "$!\n";
        print $out join(' ', @words[2 .. $#words]), "\n";
        close $out;
    }

    return fake_reply($name, @words);
}

sub sets { return split /\n/, LLMTest::Nginx::slurp("$sets") }

my ($pid, $fake) = fake_redis(answer => \&answer);
my $four = machine("redis://127.0.0.1:$fake", server => $api);

settle($four);

my $asked = key($four->post(chat_uri(), chat('Who sailed to the west?')));

ok($four->wait_until(sub { sets() == 1 }), 'it goes to Redis');
pause(0.2);
is($four->post('/write/report', to_json({ key => $asked }))->status, 200,
    'and is reported');
ok($four->wait_until(sub { sets() == 2 }), 'it goes there again');
like((sets())[0], qr/^EX \d+$/, 'at first in any case');
like((sets())[1], qr/^EX \d+ XX$/, 'then in place of what is there');

finish();
kill 'KILL', $pid;
waitpid $pid, 0;
