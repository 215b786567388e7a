# A zone's state file: what outlives nginx, and what a bad file does not do.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;
use LLMTest::State;

my $mock = mock();

sub conf { return LLMTest::State::conf(@_) }

my $nginx = nginx(conf('8m state=logs/one.state state_interval=0'));
my $file = $nginx->file('one.state');

sub post {
    my ($prompt, %option) = @_;

    return $nginx->post(chat_uri(), chat($prompt,
        $option{stream} ? (stream => json_true) : ()), mock => $option{mock},
        headers => $option{headers});
}

sub is_there {
    my ($prompt) = @_;

    return post($prompt, headers => { 'Cache-Control' => 'only-if-cached' })
        ->status == 200 ? 1 : 0;
}

sub spew { LLMTest::State::put($file, @_); return }

# restarts keep what is fresh

ok($nginx->wait_until(sub { $nginx->loads }), 'the first start');
is($nginx->count('there is no state file'), 1, 'there is no file yet');

my %first;

for my $number (1 .. 40) {
    $first{$number} = post("entry $number", stream => $number % 2);
}

sub kept {
    my ($name, $expected) = @_;

    my $good = 0;
    my $made = calls(sub {
        for my $number (keys %first) {
            my $again = post("entry $number", stream => $number % 2);

            $good++ if $again->cache eq 'HIT' && $again->complete
                && $again->body eq $first{$number}->body
                && $again->header('Content-Type')
                    eq $first{$number}->header('Content-Type');
        }
    });

    is($good, $expected // 40, "$name: hits, byte for byte");
    is($made, defined $expected ? 40 - $expected : 0, "$name: no calls");

    return;
}

kept('before');
ok($nginx->restart('QUIT'), 'restart');
kept('after quit');
is((stat $file)[2] & 07777, 0600, 'only its owner may read the file');
ok($nginx->restart('TERM'), 'restart after a fast stop');
kept('after a fast stop');
is($nginx->count('another process|stays as it is|cannot be'), 0,
    'no complaints');

# another number of shards, and another way to evict

for my $zone ('8m shards=4', '9m shards=3 evict=lru', '8m') {
    ok($nginx->restart('QUIT',
        conf("$zone state=logs/one.state state_interval=0")), "now $zone");
    kept($zone);
}

# the age goes on

my ($age) = map { $_->header('Age') } post('entry 2');

pause(2.1);
ok($nginx->restart('QUIT'), 'restart');
cmp_ok(post('entry 2')->header('Age'), '>=', $age + 2, 'the age goes on');

# a copy of a good file, for what follows

$nginx->quit('QUIT');

my $good = LLMTest::State::content($file);

cmp_ok(length $good, '>', 40 * 176, 'the file holds records');
unlike($good, qr/sk-test/, 'and no credentials');

# files that are refused

sub refused {
    my ($name, $reason, $bytes, $cached) = @_;

    my $lines = $nginx->count("starts empty: state file .* $reason");

    spew($bytes);
    ok($nginx->start_loaded, "$name: nginx starts");
    is($nginx->count("starts empty: state file .* $reason"), $lines + 1,
        "$name: one line tells why");
    is(post('entry 1', stream => 1)->cache, 'MISS', "$name: empty");
    is(post('entry 1', stream => 1)->cache, 'HIT', "$name: and at work");
    $nginx->quit('QUIT');

    return;
}

my $length = length $good;

refused("cut to $_", 'is torn', substr $good, 0, $_)
    for 0, 1, 9, 23, 24, 60, 104, 200, int($length / 2), $length - 41,
    $length - 40, $length - 1;
refused('longer', 'is torn', $good . 'x');

for my $at (16, 24, 30, 60, 110, 130, 210, int($length / 3), $length - 60,
    $length - 38, $length - 30, $length - 20, $length - 1)
{
    my $bytes = $good;

    substr($bytes, $at, 1) ^= "\x10";
    refused("a flipped bit at $at", 'is torn', $bytes);
}

my $older = $good;

substr($older, 8, 1) = "\0";
refused('an older format', 'was written by another version', $older);
refused('a newer format', 'was written by another version',
    substr($good, 0, 8) . "\x07" . substr $good, 9);
refused('larger than the zone', 'is larger than the zone',
    $good . "\0" x (9 << 20));
refused('foreign', 'is not a state file', "worth keeping\n" x 20);

# what is refused is replaced, but for a foreign file

spew(substr $good, 0, 500);
ok($nginx->start_loaded, 'a torn file');
post('entry 3', stream => 1);
ok($nginx->restart('QUIT'), 'is replaced');
ok(post('entry 3', stream => 1)->cache eq 'HIT', 'by a good one');
$nginx->quit('QUIT');
spew('somebody else\'s');
ok($nginx->start_loaded, 'a foreign file');
$nginx->quit('QUIT');
is(LLMTest::State::content($file), 'somebody else\'s',
    'a foreign file is left as it is');
is($nginx->count('it is left as it is'), 2, 'which is logged');

# a symbolic link is not followed, neither as the file nor as the new one

unlink $file;
symlink $nginx->prefix . '/elsewhere', $file;
ok($nginx->start_loaded, 'a symbolic link: nginx starts');
$nginx->quit('QUIT');
ok(!-e $nginx->prefix . '/elsewhere' && -l $file, 'and is not followed');
unlink $file;
symlink $nginx->prefix . '/elsewhere', "$file.tmp";
spew($good);
ok($nginx->restart('QUIT'), 'a link in place of the new file');
kept('a link in place of the new file');
$nginx->quit('QUIT');
ok(!-e $nginx->prefix . '/elsewhere' && !-e "$file.tmp" && -s $file,
    'is not followed');

# expired answers, and those that nobody asked for, are left out

$nginx->write_conf(conf('9m state=logs/one.state state_interval=0',
    location => 'llm_cache on; llm_cache_valid 2s;'));
unlink $file;
ok($nginx->start_loaded, 'short lives');
post("brief $_") for 1 .. 5;
$nginx->quit('QUIT');
$mock->reset;
pause(2.1);
ok($nginx->start_loaded, 'a start after they ended');
is($nginx->count(qr/: 0 answers loaded from .*, 5 left out/), 1,
    'none is loaded');
is(is_there('brief 1'), 0, 'none is served');
$nginx->quit('QUIT');

# nothing is written at the end of a process that was killed

spew($good);
$nginx->write_conf(conf('8m state=logs/one.state state_interval=0'));
ok($nginx->start_loaded, 'once more');
ok($nginx->kill_worker(0), 'a worker is killed');
ok($nginx->restart('QUIT'), 'restart');
kept('after a killed worker');

# reload: the zone lives on, and is not loaded again

my $before = $nginx->loads;

ok($nginx->reload, 'reload');
kept('reload');
is($nginx->loads, $before, 'a reload loads nothing');
ok($nginx->reload(conf('16m state=logs/one.state state_interval=0')),
    'reload with another size');
ok($nginx->wait_until(sub { $nginx->loads > $before }),
    'the new zone is loaded');
kept('another size');

# every so often, and only after changes

ok($nginx->reload(conf('16m state=logs/two.state state_interval=1s')),
    'reload with another file');
$file = $nginx->prefix . '/logs/two.state';
ok($nginx->wait_until(sub { -e $file }), 'it is written meanwhile');

my $inode = (stat $file)[1];

post('one more');
ok($nginx->wait_until(sub { (stat $file)[1] != $inode }), 'and once more');

$inode = (stat $file)[1];
pause(2.5);
is((stat $file)[1], $inode, 'not without a change');

# ranks survive: what was asked for often, or used last, stays

sub fill {
    my ($name, $count) = @_;

    post("$name $_", mock => { size => 3000 }) for 1 .. $count;

    return;
}

sub ranks {
    my ($evict, $before) = @_;

    my $state = "1m state=logs/$evict.state evict=$evict";

    $nginx->quit('QUIT');
    ok($nginx->start_loaded(conf($state)), "$evict: start");
    $before->();
    ok($nginx->restart('QUIT'), "$evict: restart");
    ok(is_there('cold 100'), "$evict: the cold are there");
    fill('new', 180);

    # a few may go when their turn comes, with more of them in a row

    cmp_ok(scalar(grep { is_there("warm $_") } 1 .. 20), '>=', 17,
        "$evict: the warm stay");
    cmp_ok(scalar(grep { is_there("cold $_") } 1 .. 99), '<=', 60,
        "$evict: many of the cold went");

    return;
}

# so many that the warm ones have been ranked by how often they were asked for

ranks('cost', sub { fill('warm', 20) for 1 .. 6; fill('cold', 300);
    fill('cold', 100) });
ranks('lru', sub { fill('cold', 100); pause(1.1); fill('warm', 20);
    pause(1.1) });

# two zones, two files

$nginx->quit('QUIT');

my @pair = conf('2m state=logs/first.state', location => 'llm_cache on '
    . 'zone=one;', http => 'llm_cache_zone zone=one:2m state=logs/first.state;'
    . 'llm_cache_zone zone=two:2m shards=2 state=logs/second.state;'
    . 'llm_cache_namespace all;', server => 'location /two/ {'
    . 'llm_cache on zone=two; proxy_pass http://llm; }');

sub two { return $nginx->post('/two' . chat_uri(), chat($_[0])) }

ok($nginx->start_loaded(@pair), 'two zones');

my @answers = (post('in both'), two('in both'), two('in the second'));

ok($nginx->restart('QUIT'), 'two zones: restart');
$nginx->wait_until(sub { $nginx->count('"two": 2 answers loaded') });
is_hit(post('in both'), $answers[0], 'two zones: the first');
is_hit(two('in both'), $answers[1], 'two zones: the second');
is_hit(two('in the second'), $answers[2], 'two zones: the second alone');
is_miss(post('in the second'), 'two zones: not the first');

# who writes a full zone makes room for what it needs to read it

my $full = nginx(conf('1m state=logs/full.state state_interval=0'));

$full->post(chat_uri(), chat("full $_")) for 1 .. 1500;
ok($full->reload(conf('1m state=logs/full.state state_interval=1s')),
    'full: reload');
ok($full->wait_until(sub { $full->count('answers written to') }),
    'full: it is written');
is($full->count('cannot be read now'), 0, 'full: at once');

# configurations that are refused

sub refuses {
    my ($zones, $said, $name) = @_;

    my ($code, $text) = nginx_t(location => 'llm_cache on zone=one;',
        http => $zones);

    isnt($code, 0, "refused: $name");
    like($text, qr/\[emerg\].*$said/, "refused, with the reason: $name");

    return;
}

for my $value ('state=', 'state=logs/', 'state=logs/a.tmp',
    'state_interval=x', 'state_interval=')
{
    refuses("llm_cache_zone zone=one:1m state=logs/b $value;",
        qr/invalid value "$value" in "llm_cache_zone"/, $value);
}

refuses('llm_cache_zone zone=one:1m state=none/a;',
    qr/"llm_cache_zone" has "state=\S+none\/a".* no directory/,
    'no directory');
refuses('llm_cache_zone zone=one:1m state=logs;',
    qr/"llm_cache_zone" has "state=\S+logs".* not a regular file/,
    'a directory');
refuses('llm_cache_zone zone=one:1m state_interval=1m;',
    qr/"state_interval" .* zone "one" needs "state=FILE"/, 'no file');
refuses("llm_cache_zone zone=one:1m state=logs/a;"
    . "llm_cache_zone zone=two:1m state=$_;",
    qr/has "state=\S*a", which is that of zone "one" too/, $_)
    for 'logs/a', 'logs/../logs//a', '%PREFIX%/logs/a';

my ($code) = nginx_t(location => 'llm_cache on zone=one;', http =>
    'llm_cache_zone zone=one:1m state=logs/a state_interval=10m;'
    . 'llm_cache_zone zone=two:1m state=logs/b;');

is($code, 0, 'two files in one directory');

finish();
