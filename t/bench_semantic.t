# make bench-semantic: it runs, for every kind of embedder, and its sums are
# right.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use File::Temp qw(tempdir);
use LLMTest;

my $root = "$FindBin::Bin/..";
my $mock = mock();
my $place = tempdir(CLEANUP => 1);

open my $pairs, '>', "$place/pairs.json" or die "pairs: $!\n";
print $pairs to_json([
    { text_a => 'What is the capital of France?',
        text_b => 'what is the capital of france', label => 1 },
    { text_a => 'What is 12 plus 7?', text_b => 'What is 13 plus 7?',
        label => 0 },
]);
close $pairs;

local %ENV = (%ENV, PAIRS => "$place/pairs.json", SVG => "$place/plot.svg",
    SEARCH => 2000, EMBED_MODEL => 'test', CC => 'cc -O0',
    EMBED_URL => 'http://127.0.0.1:' . $mock->port . '/v1/embeddings');

my $said = `cd '$root' && make --no-print-directory bench-semantic 2>&1`;

is($?, 0, 'it runs') or diag($said);
like($said, qr/^== lexical, 2 pairs$/m, 'lexical');
like($said, qr/^== \S*vectors\.json, 2 pairs$/m, 'an API');
like($said, qr/^all guards\n.*\n +0\.50 +1 +0 +1$/m,
    'the guards let the right pair through');
like($said, qr/^no guards\n.*\n +0\.50 +1 +1 +0$/m, 'without them both pass');
is($mock->count, 1, 'one call for all texts');
like($said, qr/^planted\s/m, 'the search');

open my $plot, '<', "$place/plot.svg" or die "plot: $!\n";
like(join('', <$plot>), qr{^<svg .*</svg>\n\z}s, 'the plot');

finish();
