# A record that is barred while it is written to a state file does not make
# the file a damaged one.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use File::Temp qw(tempdir);
use Test::More;

use LLMTest;
use LLMTest::State;

my $dir = tempdir(CLEANUP => 1);
my $hold = "$dir/hold";

plan skip_all => 'no C compiler' if system("cc -std=gnu11 -shared -fPIC"
    . " -o $dir/hold_sum.so $FindBin::Bin/lib/hold_sum.c -ldl") != 0;

mock();

$ENV{LD_PRELOAD} = join ' ', $ENV{LD_PRELOAD} // (), "$dir/hold_sum.so";
$ENV{HOLD_SUM} = $hold;

my %conf = LLMTest::State::conf('1m state=logs/one.state state_interval=2s',
    server => <<'END', main => 'env HOLD_SUM;');
    llm_cache_semantic on;
    location /admin { llm_cache_api write=on; }
END
my $nginx = nginx(%conf);
my $file = $nginx->file('one.state');

my $first = $nginx->post(chat_uri(), chat('How does it end?'));

LLMTest::State::put($hold, '');

my $held = $nginx->wait_until(sub { -e "$hold.held" });
my $written = $nginx->count('answers written to');

is($nginx->post('/admin/report', { key => $first->header('X-LLM-Cache-Key') })
    ->status, 200, 'reported while it is written');
unlink $hold;

SKIP: {
    skip 'nothing can be preloaded here', 3 if !$held;

    ok($nginx->wait_until(sub { $nginx->count('answers written to')
        > $written }), 'written');

    my $content = LLMTest::State::content($file);

    $nginx->quit('QUIT');
    LLMTest::State::put($file, $content);
    ok($nginx->start_loaded, 'loaded');
    is_hit($nginx->post(chat_uri(), chat('How does it end?')), $first,
        'the file is a sound one');
}

finish();
