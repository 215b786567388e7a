# The index of questions: bounds, eviction, reload, workers that die.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use LLMTest;

my $mock = mock();

my @TOPICS = map { my $one = $_; map { "$one $_" } qw(rivers castles poets
    engines flowers markets glaciers kitchens) } qw(alpine coastal medieval
    modern famous forgotten);

sub question { return "Write about $TOPICS[$_[0]] in Europe" }

sub ask {
    my ($nginx, $number, $again, %option) = @_;

    my $question = question($number);

    $question = lc($question) . ' please!' if $again;

    return $nginx->post(chat_uri(), chat($question), %option);
}

# few entries: the latest are there, and all are answered

my $small = nginx(location => 'llm_cache on; llm_cache_semantic on;',
    http => 'llm_cache_zone zone=one:8m semantic=16;');

is(scalar(grep { ask($small, $_)->status != 200 } 0 .. $#TOPICS), 0,
    'more questions than there are entries');
is(ask($small, $#TOPICS - $_, 1)->cache, 'SEMANTIC', "the latest but $_")
    for 0 .. 3;
is(ask($small, 0, 1)->cache, 'MISS', 'the first has gone');
is(ask($small, 0)->cache, 'HIT', 'but its answer is there');

# records that are gone

my $tight = nginx(location => 'llm_cache on; llm_cache_semantic on;',
    http => 'llm_cache_zone zone=one:1m evict=lru;');

ask($tight, 0);
is(ask($tight, 0, 1)->cache, 'SEMANTIC', 'a record that is there');
$tight->post(chat_uri(), chat("fill the zone $_"),
    mock => { size => 30000 }) for 1 .. 60;
is(ask($tight, 0, 1)->cache, 'MISS', 'a record that was evicted');

# packed records keep their question

my $packed = nginx(location => 'llm_cache on; llm_cache_semantic on;',
    http => 'llm_cache_zone zone=one:8m compress=on;');

my $first = ask($packed, 0, 0, mock => { size => 20000 });

$packed->wait_until(sub {
    my $hit = ask($packed, 0, 0, headers => { 'Accept-Encoding' => 'gzip' });

    return ($hit->header('Content-Encoding') // '') eq 'gzip';
});

my $again = ask($packed, 0, 1);

is($again->cache, 'SEMANTIC', 'a packed record');
is($again->body, $first->body, 'is unpacked');

# all workers share it, and it outlives them

my %conf = (location => 'llm_cache on; llm_cache_semantic on;', workers => 2,
    mock => $mock, level => 'notice', allow => qr/exited on signal 9/,
    http => 'llm_cache_zone zone=one:8m;');
my $nginx = nginx(%conf);

ask($nginx, $_) for 0 .. 9;
is(scalar(grep { ask($nginx, $_, 1)->cache eq 'SEMANTIC' } 0 .. 9), 10,
    'two workers');

ok($nginx->reload, 'reload');
is(scalar(grep { ask($nginx, $_, 1)->cache eq 'SEMANTIC' } 0 .. 9), 10,
    'the index is there after it');

ok($nginx->kill_worker(0), 'a worker is killed');
is(scalar(grep { ask($nginx, $_, 1)->cache eq 'SEMANTIC' } 0 .. 9), 10,
    'the index is there after that');

# killed in the midst of storing

for my $round (1 .. 4) {
    my @children = map {
        my $from = $_;
        my $pid = fork() // die "fork: $!\n";

        if ($pid == 0) {
            eval { $nginx->post(chat_uri(), chat("Write about case $from of "
                . "$round and $_ in Europe")) } for 1 .. 100;
            require POSIX;
            POSIX::_exit(0);
        }

        $pid;
    } 1, 2;

    pause(0.05 * $round);
    $nginx->kill_worker($round);
    waitpid $_, 0 for @children;
}

ask($nginx, 20);
is(ask($nginx, 20, 1)->cache, 'SEMANTIC', 'it takes new entries');
is(ask($nginx, 3, 1)->cache, 'SEMANTIC', 'and has the old ones');

# other sizes, and none

ok($nginx->reload(%conf, http => 'llm_cache_zone zone=one:8m semantic=100;'),
    'reload with another size');
is(ask($nginx, 3, 1)->cache, 'MISS', 'another size starts empty');
ok($nginx->reload(%conf, location => 'llm_cache on;'), 'reload without');
is(ask($nginx, 4)->cache, 'HIT', 'the answers are there');
ok($nginx->reload(%conf), 'reload with it again');
is(ask($nginx, 30)->cache, 'MISS', 'a new question');
is(ask($nginx, 30, 1)->cache, 'SEMANTIC', 'which is found');

finish();
