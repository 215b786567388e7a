package LLMTest::Json;

# JSON for the tests: members sorted, so that equal data has equal bytes.

use strict;
use warnings;

use Exporter 'import';
use JSON::PP ();

our @EXPORT = qw(to_json from_json json_true json_false);

my $CODEC = eval { require JSON::XS; JSON::XS->new } || JSON::PP->new;

$CODEC->utf8->canonical->allow_nonref;

sub to_json { my ($data) = @_; return $CODEC->encode($data) }

sub from_json { my ($text) = @_; return $CODEC->decode($text) }

sub json_true { return JSON::PP::true }

sub json_false { return JSON::PP::false }

1;
