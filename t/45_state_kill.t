# A zone's state file, when processes die at bad moments, and with the rights
# that they have.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use Fcntl qw(:flock O_CREAT O_EXCL O_WRONLY);

use LLMTest;
use LLMTest::State;
use LLMTest::Trap;

my $mock = mock();
my $trap = LLMTest::Trap->new // plan skip_all => 'no C compiler';
my $RECORDS = 40;

sub conf {
    return LLMTest::State::conf('8m state=logs/one.state state_interval='
        . shift, @_);
}

my $nginx = nginx(conf('0'));
my $file = $nginx->file('one.state');

sub post { my ($prompt, %option) = @_;
    return $nginx->post(chat_uri(), chat($prompt), %option) }

my %first = map { $_ => post("entry $_") } 1 .. $RECORDS;

sub kept {
    my ($name, $expected) = @_;

    my $good = grep {
        my $again = post("entry $_", headers => {
            'Cache-Control' => 'only-if-cached' });

        $again->status == 200 && $again->body eq $first{$_}->body;
    } keys %first;

    return is($good, $expected // $RECORDS, "$name: answers kept");
}

ok($nginx->quit('QUIT'), 'a file is written');

my $good = LLMTest::State::content($file);

# as long as somebody else holds the lock of the new file, none is loaded

my $lock;

sub lock_file {
    sysopen $lock, "$file.tmp", O_CREAT|O_EXCL|O_WRONLY or die "$!\n";
    flock $lock, LOCK_EX or die "$!\n";

    return;
}

sub unlock_file { close $lock; return }

lock_file();

my $loads = $nginx->loads;

ok($nginx->start, 'nginx starts before its zone is loaded');

my $newer = post('entry 1', mock => { size => 777 });

is_miss($newer, 'requests are answered meanwhile');
is_hit(post('entry 1'), $newer, 'and cached');
ok($nginx->quit('TERM'), 'nginx stops before its zone is loaded');
ok(LLMTest::State::content($file) eq $good, 'the file stays as it was');
is($nginx->count('stays as it is: it was not yet loaded'), 1,
    'the log tells so');

ok($nginx->start, 'nginx starts again');
$newer = post('entry 1', mock => { size => 777 });
unlock_file();
ok($nginx->wait_until(sub { $nginx->loads > $loads }), 'the zone is loaded');
ok(!-e "$file.tmp", 'what was left of the new file is gone');
is_hit(post('entry 1'), $newer, 'a newer answer is not replaced');
kept('the others', $RECORDS - 1);

# the manager dies while it loads: outside of the lock, and inside of it

sub dies_loading {
    my ($symbol, $count) = @_;

    my $name = "$symbol, $count";

    $nginx->quit('QUIT');
    LLMTest::State::put($file, $good);
    lock_file();
    $loads = $nginx->loads;
    ok($nginx->start && $nginx->manager, "$name: nginx starts");

    my $output = $trap->arm($nginx->manager, $symbol, $count);

    if (!$output) {
        unlock_file();
        return 0;
    }

    unlock_file();
    is(scalar <$output>, "killed\n", "$name: the manager dies");
    ok($nginx->wait_until(sub { $nginx->loads > $loads }),
        "$name: the next one loads");
    kept($name);
    is(post('more')->cache, 'MISS', "$name: the zone works");
    is(post('more')->cache, 'HIT', "$name: and caches");

    return 1;
}

if (!dies_loading('ngx_http_llm_cache_zone_restore', 1)) {
    diag('processes cannot be traced here');
    finish();
    exit 0;
}

dies_loading('ngx_http_llm_cache_zone_restore', $_) for 17, $RECORDS;
dies_loading('ngx_http_llm_cache_shard_restore', $_) for 1, 20;
dies_loading('ngx_http_llm_cache_zone_append', 3);

# it dies while it writes

for my $symbol (qw(llm_state_begin llm_state_entry llm_state_end)) {
    ok($nginx->restart('QUIT', conf('0')), "$symbol: restart");
    $nginx->quit('QUIT');
    LLMTest::State::put($file, $good);
    ok($nginx->start_loaded(conf('1s')), "$symbol: every second");

    my $output = $trap->arm($nginx->manager, $symbol);

    post("while writing $symbol");
    is(scalar <$output>, "killed\n", "$symbol: the manager dies");
    ok(LLMTest::State::content($file) eq $good,
        "$symbol: the file is what it was");
    ok($nginx->wait_until(sub { !-e "$file.tmp"
        && LLMTest::State::content($file) ne $good }),
        "$symbol: the next one writes it");
    ok($nginx->restart('QUIT', conf('0')), "$symbol: restart");
    kept($symbol);
    is(post("while writing $symbol")->cache, 'HIT', "$symbol: the latest");
}

# a worker that dies inside the lock takes the zone's records with it, but
# not the file's

ok($nginx->restart('QUIT', conf('0')), 'restart');

my $victim = ($nginx->worker_pids)[0];
my $output = $trap->arm($victim, 'ngx_http_llm_cache_shard_link');

for (1 .. 200) {
    post("dying $_");
    last if !grep { $_ == $victim } $nginx->worker_pids;
}

is(scalar <$output>, "killed\n", 'a worker dies inside the lock');
ok($nginx->wait_until(sub { $nginx->worker_pids == 1 }), 'and is replaced');
post('after');
ok($nginx->restart('QUIT'), 'the zone is written and loaded');
is(post('after')->cache, 'HIT', 'with what came after');

# reload in the middle of the wait for the file

$nginx->quit('QUIT');
LLMTest::State::put($file, $good);
lock_file();
$loads = $nginx->loads;
ok($nginx->start, 'start');

my $old = $nginx->manager;

ok($nginx->reload, 'reload before the zone is loaded');
ok($nginx->wait_until(sub { !kill 0, $old }), 'the old manager is gone');
unlock_file();
ok($nginx->wait_until(sub { $nginx->loads > $loads }), 'the new one loads');
kept('reload before the zone is loaded');

# one process for everything

sub single { s/master_process on;/master_process off;/; return }

$nginx->quit('QUIT');
$nginx->{workers} = 0;
ok($nginx->start_loaded(conf('0', workers => 0, edit => sub { single();
    s/worker_processes 0;//; return })), 'without a master: loaded');
kept('without a master');
post('single');
ok($nginx->restart('QUIT'), 'without a master: written');
is(post('single')->cache, 'HIT', 'without a master: kept');
kept('without a master, again');
$nginx->quit('QUIT');
$nginx->{workers} = 1;

# workers of another user

my ($user, $group) = (getpwnam 'nobody')[2, 3];

sub nobody {
    my $name = getgrgid $group;

    s/^user root;/user nobody $name;/m;

    return;
}

SKIP: {
    skip 'not root', 1 if $> != 0 || !defined $user;

    my $folder = $nginx->prefix . '/state';

    mkdir $folder, 0755;
    $file = "$folder/one.state";

    my @zone = (http => 'llm_cache_zone zone=one:8m state=state/one.state'
        . ' state_interval=1s;', edit => \&nobody);

    ok($nginx->start_loaded(conf('0', @zone)), 'another user');
    is(post("entry $_")->cache, 'MISS', 'another user: a miss') for 1;
    ok($nginx->wait_until(sub {
        $nginx->count(qr/"\S+one\.state" cannot be created \(13:/) }),
        'another user: may not write there');
    post('another change');
    pause(2.2);
    is($nginx->count('cannot be created'), 1, 'another user: one line');
    ok($nginx->quit('QUIT') && -s $file, 'the master may write');
    is_deeply([(stat $file)[2, 4]], [0100600, $user], 'for the other user');
    ok($nginx->start_loaded, 'another user: start');
    is(post('entry 1')->cache, 'HIT', 'who may read it');
    chown $user, -1, $folder;

    my $inode = (stat $file)[1];

    post('a change');
    ok($nginx->wait_until(sub { (stat $file)[1] != $inode }),
        'another user: may write now');
    $nginx->quit('QUIT');
    chown 0, 0, $file;

    my $unreadable = LLMTest::State::content($file);

    ok($nginx->start_loaded, 'a file of somebody else');
    is($nginx->count('starts empty: state file \S+ cannot be opened'), 1,
        'is refused by one line');
    is(post('entry 1')->cache, 'MISS', 'and not loaded');
}

finish();
