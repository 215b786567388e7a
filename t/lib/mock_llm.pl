#!/usr/bin/perl

# A programmable LLM provider for the tests.  Prints the port it listens on
# and serves until its standard input is closed.
#
# What it answers follows from the path and the request's body.  A test
# changes that for one call by the request header "X-Mock: {...}", or queues
# behaviours for the next calls with POST /__mock/next [{...}, ...]:
#
#   status, headers [[n, v]...], type    the response's head (type null: none)
#   body STRING or [STRING...], body_b64 the body itself, in these pieces
#   text, size N, repeat N               what the model says
#   usage [IN, OUT]                      the tokens it counts
#   kind                                 text tools reasoning refusal empty
#   finish                               stop length tool filter or a word
#   no_usage                             no usage in a JSON answer
#   error, after N                       an error, in a stream after N events
#   keep N                               a clean end after N events
#   framing                              length chunked close
#   cut N, reset                         the connection ends after N bytes of
#                                        the body, by a reset
#   gate NAME, hold [N, NAME]            waits for a release before the head,
#                                        or before the event after the Nth
#   delay S, pace S                      seconds before the head, or between
#                                        events
#   gzip                                 accept (when the client does) force
#   chunk N, chunk_ext, trailers         chunks of N bytes, odd chunked coding
#   embed {...}                          see MockLLM/Embeddings.pm
#
# Other control calls: GET /__mock/count, GET /__mock/log?from=N,
# POST /__mock/release?gate=NAME, POST /__mock/reset.

use strict;
use warnings;

use FindBin ();
use lib $FindBin::Bin;

use MockLLM::Server;

$SIG{PIPE} = 'IGNORE';
$| = 1;

my $server = MockLLM::Server->new;

print $server->port, "\n";
$server->run;
