# A zone's state file: what outlives nginx, and what a bad file does not do.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use Fcntl qw(:flock);

use LLMTest;

my $mock = mock();

sub conf {
    my ($zone, %option) = @_;

    return (mock => $mock, workers => 2, level => 'info',
        location => 'llm_cache on zone=one;',
        allow => qr/process \d+ exited on signal 9/,
        http => "llm_cache_zone zone=one:$zone;", %option);
}

my $nginx = nginx(conf('8m state=logs/one.state state_interval=0'));
my $file = $nginx->prefix . '/logs/one.state';

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

sub logged { my ($text) = @_; my $n = () = $nginx->error_log =~ /$text/g;
    return $n }

# how many loads came to an end

sub loads { return logged(qr/answers loaded from|"one" starts (?:em|in)/) }

sub loaded {
    my ($before) = @_;

    return $nginx->wait_until(sub { loads() > $before });
}

# stops nginx, lets something happen to the file, and starts it again

sub restart {
    my ($signal, $change, @conf) = @_;

    my $before = loads();

    $nginx->quit($signal // 'QUIT');
    $change->() if $change;
    $nginx->write_conf(@conf) if @conf;

    return $nginx->start && loaded($before);
}

sub slurp { open my $in, '<:raw', $_[0] or return; local $/; return <$in> }

sub spew { open my $out, '>:raw', $file or die; print $out @_; close $out }

sub manager {
    my $master = $nginx->{master};

    for my $pid (split ' ', slurp("/proc/$master/task/$master/children")) {
        return $pid if slurp("/proc/$pid/cmdline") =~ /cache manager/;
    }

    return;
}

# restarts keep what is fresh

ok(loaded(0), 'the first start');
is(logged('there is no state file'), 1, 'there is no file yet');

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
ok(restart('QUIT'), 'restart');
kept('after quit');
is((stat $file)[2] & 07777, 0600, 'only its owner may read the file');
ok(restart('TERM'), 'restart after a fast stop');
kept('after a fast stop');
is(logged('is being written|stays as it is|cannot be'), 0, 'no complaints');

# another number of shards, and another way to evict

for my $zone ('8m shards=4', '9m shards=3 evict=lru', '8m') {
    ok(restart('QUIT', undef,
        conf("$zone state=logs/one.state state_interval=0")), "now $zone");
    kept($zone);
}

# the age goes on

my ($age) = map { $_->header('Age') } post('entry 2');

pause(2.1);
ok(restart('QUIT'), 'restart');
cmp_ok(post('entry 2')->header('Age'), '>=', $age + 2, 'the age goes on');

# a copy of a good file, for what follows

$nginx->quit('QUIT');

my $good = slurp($file);

cmp_ok(length $good, '>', 40 * 176, 'the file holds records');
unlike($good, qr/sk-test/, 'and no credentials');

# files that are refused

sub refused {
    my ($name, $reason, $bytes, $cached) = @_;

    my $before = loads();
    my $lines = logged("starts empty: state file .* $reason");

    spew($bytes);
    ok($nginx->start && loaded($before), "$name: nginx starts");
    is(logged("starts empty: state file .* $reason"), $lines + 1,
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

my $before = loads();

spew(substr $good, 0, 500);
ok($nginx->start && loaded($before), 'a torn file');
post('entry 3', stream => 1);
ok(restart('QUIT'), 'is replaced');
ok(post('entry 3', stream => 1)->cache eq 'HIT', 'by a good one');
$nginx->quit('QUIT');
spew('somebody else\'s');
$before = loads();
ok($nginx->start && loaded($before), 'a foreign file');
$nginx->quit('QUIT');
is(slurp($file), 'somebody else\'s', 'a foreign file is left as it is');
is(logged('it is left as it is'), 2, 'which is logged');

# a symbolic link is not followed, neither as the file nor as the new one

unlink $file;
symlink $nginx->prefix . '/elsewhere', $file;
$before = loads();
ok($nginx->start && loaded($before), 'a symbolic link: nginx starts');
$nginx->quit('QUIT');
ok(!-e $nginx->prefix . '/elsewhere' && -l $file, 'and is not followed');
unlink $file;
symlink $nginx->prefix . '/elsewhere', "$file.tmp";
spew($good);
ok(restart('QUIT'), 'a link in place of the new file');
kept('a link in place of the new file');
$nginx->quit('QUIT');
ok(!-e $nginx->prefix . '/elsewhere' && !-e "$file.tmp" && -s $file,
    'is not followed');

# expired answers, and those that nobody asked for, are left out

$before = loads();
$nginx->write_conf(conf('9m state=logs/one.state state_interval=0',
    location => 'llm_cache on; llm_cache_valid 2s;'));
unlink $file;
ok($nginx->start && loaded($before), 'short lives');
post("brief $_") for 1 .. 5;
$nginx->quit('QUIT');
$mock->reset;
pause(2.1);
ok($nginx->start && loaded($before + 1), 'a start after they ended');
is(logged(qr/: 0 answers loaded from .*, 5 left out/), 1, 'none is loaded');
is(is_there('brief 1'), 0, 'none is served');
$nginx->quit('QUIT');

# nothing is written at the end of a process that was killed

spew($good);
$nginx->write_conf(conf('8m state=logs/one.state state_interval=0'));
ok($nginx->start && loaded($before + 2), 'once more');
ok($nginx->kill_worker(0), 'a worker is killed');
ok(restart('QUIT'), 'restart');
kept('after a killed worker');

# reload: the zone lives on, and is not loaded again

$before = loads();
ok($nginx->reload, 'reload');
kept('reload');
is(loads(), $before, 'a reload loads nothing');
ok($nginx->reload(conf('16m state=logs/one.state state_interval=0')),
    'reload with another size');
ok(loaded($before), 'the new zone is loaded');
kept('another size');

# every so often, and only after changes

ok($nginx->reload(conf('16m state=logs/two.state state_interval=1s')),
    'reload with another file');
$file = $nginx->prefix . '/logs/two.state';
ok($nginx->wait_until(sub { -e $file }), 'it is written meanwhile');

my $inode = (stat $file)[1];

post('one more');
ok($nginx->wait_until(sub { (stat $file)[1] != $inode }), 'and once more');

my $written = logged('answers written to');

pause(2.5);
is(logged('answers written to'), $written, 'not without a change');

finish();
