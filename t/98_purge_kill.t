# What is purged does not come back from a state file, whoever dies when; and
# a worker that dies while it purges leaves a zone that the others can use.

use strict;
use warnings;

use Fcntl qw(LOCK_EX);
use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;
use LLMTest::State;
use LLMTest::Trap;

my $mock = mock();
my $trap = LLMTest::Trap->new // plan skip_all => 'no C compiler';

sub conf {
    my ($zone) = @_;

    return LLMTest::State::conf($zone, server =>
        'location /api/ { llm_cache_api write=on; }');
}

my $nginx = nginx(conf('8m state=logs/one.state state_interval=0'));
my $file = $nginx->file('one.state');

sub ask {
    my ($prompt, %option) = @_;

    return $nginx->post(chat_uri(), chat($prompt, model => $prompt =~ /odd/
        ? 'odd' : 'even'), %option);
}

sub has {
    my ($prompt) = @_;

    return ask($prompt, headers => { 'Cache-Control' => 'only-if-cached' })
        ->status == 200 ? 1 : 0;
}

sub fill {
    my ($n, %mock) = @_;

    ask(($_ % 2 ? 'odd' : 'even') . " $_", mock => { %mock }) for 1 .. $n;

    return;
}

sub left {
    my ($n) = @_;

    return scalar grep { has(($_ % 2 ? 'odd' : 'even') . " $_") } 1 .. $n;
}

sub purge { my ($what) = @_;
    return $nginx->post('/api/purge', $what)->json->{purged} }

# all processes die at once

sub crash {
    my $master = $nginx->master_pid;
    my @children = split ' ', LLMTest::State::content(
        "/proc/$master/task/$master/children");

    kill 'KILL', $master, @children;
    $nginx->quit('KILL');
    $nginx->wait_until(sub {
        return !grep { defined readlink "/proc/$_/exe" } @children;
    });
    unlink $nginx->prefix . '/nginx.pid';

    return $nginx->start_loaded;
}

# a restart keeps what was not purged

fill(40);
is(purge({ model => 'odd' }), 20, 'a model is purged');
ok($nginx->restart('QUIT'), 'restart');
is(left(40), 20, 'the others are kept');
is(has('odd 1'), 0, 'but not those');

# a crash right after a purge: the file is of before it

is(purge({ model => 'even' }), 20, 'another one is purged');
ok(!-e $file, 'the file is gone');
ok(crash(), 'a crash');
is(left(40), 0, 'none came back');
ok(!-e "$file.purged", 'what it was is deleted');

fill(40);
ok($nginx->restart('QUIT'), 'restart');
is(left(40), 40, 'all are kept');

my $key = ask('odd 1')->header('X-LLM-Cache-Key');

$nginx->request("/api/keys/$key", undef, method => 'DELETE');
ok(crash(), 'a crash after a key was deleted');
is(has('odd 1'), 0, 'it does not come back');

fill(40);
ok($nginx->restart('QUIT'), 'restart');
is(purge({ all => json_true, dry_run => json_true }), 40, 'a dry purge');
ok(-e $file, 'leaves the file');
is(purge({ all => json_true }), 40, 'everything is purged');
ok(crash(), 'a crash after everything was purged');
is(left(40), 0, 'nothing comes back');

# a file that cannot be renamed is emptied

fill(40);
ok($nginx->restart('QUIT'), 'restart');
mkdir "$file.purged";
open my $block, '>', "$file.purged/x" or die "$!\n";
is(purge({ all => json_true }), 40, 'everything is purged');
is(-s $file, 0, 'the file is empty');
ok(crash(), 'a crash');
is(left(40), 0, 'nothing comes back');
unlink "$file.purged/x";
rmdir "$file.purged";

# purged while it is being loaded: whatever was loaded already

ok($nginx->restart('QUIT', conf('48m state=logs/one.state '
    . 'state_interval=0')), 'a larger zone');
fill(400, size => 90_000);
is(left(400), 400, 'large answers');

for my $case ([{ all => json_true }, 0], [{ model => 'odd' }, 0.02],
    [{ all => json_true }, 0.04], [{ model => 'odd' }, 0.06])
{
    my ($what, $later) = @$case;
    my $loads = $nginx->loads;

    $nginx->quit('QUIT');
    ok($nginx->start, 'nginx starts');
    pause($later);
    purge($what);
    ok($nginx->wait_until(sub { $nginx->loads > $loads }), 'loaded');
    is(scalar(grep { has("odd $_") } map { 2 * $_ + 1 } 0 .. 199), 0,
        "purged while it was loaded, $later: " . join ' ', keys %$what);
    fill(400, size => 90_000);
}

# purged before it can be loaded, as another nginx has not yet written it

$nginx->quit('QUIT');

my $written = LLMTest::State::content($file);
my $loads = $nginx->loads;

open my $writing, '>', "$file.tmp" or die "$!\n";
flock $writing, LOCK_EX or die "$!\n";
ok($nginx->start, 'nginx starts');
purge({ model => 'odd' });
LLMTest::State::put($file, $written);
close $writing;
ok($nginx->wait_until(sub { $nginx->loads > $loads }), 'loaded');
is(left(400), 200, 'purged before it was loaded: the others');
is(has('odd 1'), 0, 'but not those');
fill(400, size => 90_000);

# purged while it is being written

ok($nginx->restart('QUIT', conf('48m state=logs/one.state '
    . 'state_interval=1s')), 'an interval');
fill(400, size => 90_000);

my $thrown = 0;

for my $try (1 .. 40) {
    ask("another $try");
    $nginx->wait_until(sub { -e "$file.tmp" });
    purge({ model => 'odd' });
    pause(0.3);
    $thrown = $nginx->count('was purged while it was');
    last if $thrown;
    fill(400, size => 90_000);
}

ok($thrown, 'what was being written is thrown away');
is(scalar(grep { has("odd $_") } map { 2 * $_ + 1 } 0 .. 199), 0, 'purged');
ok(crash(), 'a crash');
is(scalar(grep { has("odd $_") } map { 2 * $_ + 1 } 0 .. 199), 0,
    'none came back');

# workers that die while they purge

my $two = nginx(location => 'llm_cache on;', server =>
    'location /api/ { llm_cache_api write=on; }',
    http => 'llm_cache_zone zone=small:2m shards=2;',
    allow => qr/process \d+ exited on signal 9|was locked by \d+/);

for my $case (['ngx_http_llm_cache_purge_remove', 50, { model => 'm' }],
    ['ngx_http_llm_cache_shard_unlink', 50, { model => 'm' }],
    ['ngx_http_llm_cache_purge_shard', 2, { model => 'm' }],
    ['ngx_http_llm_cache_purge_shard', 2, { all => json_true }],
    ['ngx_http_llm_cache_shard_exhume', 20, { all => json_true }],
    ['ngx_http_llm_cache_zone_bury', 1, { all => json_true }])
{
    my ($symbol, $count, $what) = @$case;
    my $name = "$symbol, $count";

    $two->post(chat_uri(), chat("$name $_", model => 'm')) for 1 .. 200;

    my $victim = ($two->worker_pids)[0];
    my $trapped = $trap->arm($victim, $symbol, $count);

    SKIP: {
        skip "$symbol: processes cannot be traced", 4 if !$trapped;

        $two->post('/api/purge', $what);
        is(scalar <$trapped>, "killed\n", "$name: the worker dies");
        $two->wait_until(sub { grep { $_ != $victim } $two->worker_pids });

        my @answers = map { $two->post(chat_uri(), chat("$name $_ after",
            model => 'm')) } 1 .. 20;

        is(scalar(grep { $_->status == 200 } @answers), 20,
            "$name: the next one serves");

        my @again = map { $two->post(chat_uri(), chat("$name $_ after",
            model => 'm')) } 1 .. 20;

        is(scalar(grep { $_->cache eq 'HIT' } @again), 20,
            "$name: and stores");

        my $answer = $two->post('/api/purge', { all => json_true });

        is($answer->status, 200, "$name: and purges");
    }
}

finish();
