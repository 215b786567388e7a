#!/usr/bin/perl

# Compiles every t/unit/NAME.c with the ground floor (llm_*.c) and the
# references that it is compared with, and runs it.
# Each program is one subtest and speaks TAP itself.
#
#   TEST_CC       compiler, "cc"
#   TEST_CFLAGS   its flags, those of a debugging build with sanitizers

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(basename dirname);
use File::Temp qw(tempdir);
use Test::More;

my $root = abs_path(dirname(__FILE__) . '/..');
my $sources = "$root/ngx_http_llm_cache_module";
my $out = tempdir(CLEANUP => 1);

my $cc = $ENV{TEST_CC} || 'cc';
my $cflags = defined $ENV{TEST_CFLAGS} ? $ENV{TEST_CFLAGS}
    : '-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined';

my @warnings = qw(-std=gnu11 -Wall -Wextra -Werror);
my @units = sort glob("$root/t/unit/*.c");
my @floor = (sort(glob("$sources/llm_*.c")),
    glob("$root/t/reference/*.c"));

BAIL_OUT('no unit tests found') unless @units;


sub run_command
{
    my (@command) = @_;

    my $pid = open(my $pipe, '-|') // die "fork: $!";

    if ($pid == 0) {
        open(STDERR, '>&', \*STDOUT) or die "dup: $!";
        exec(@command) or die "$command[0]: $!";
    }

    my @lines = <$pipe>;
    close($pipe);

    return ($?, @lines);
}


# the ground floor is compiled once for all

sub compile_floor
{
    my @objects;

    for my $source (@floor) {
        my $object = "$out/" . basename($source, '.c') . '.o';

        my ($status, @lines) = run_command($cc, @warnings,
            split(' ', $cflags), '-I', $sources, '-I', "$root/t/reference",
            '-c', $source, '-o', $object);

        if ($status != 0) {
            diag(@lines);
            BAIL_OUT(basename($source) . ' does not compile');
        }

        push @objects, $object;
    }

    return @objects;
}


# copies the program's TAP into the subtest, and judges it as prove does

sub replay
{
    my ($name, $status, @lines) = @_;

    my ($ran, $planned) = (0, undef);

    for my $line (@lines) {
        chomp $line;

        if ($line =~ /^(not )?ok\b\s*\d*\s*(?:-\s*)?(.*)/) {
            $ran++;
            ok(!$1, $2);

        } elsif ($line =~ /^1\.\.(\d+)/) {
            $planned = $1;

        } else {
            $line =~ s/^#\s?//;
            $status == 0 ? note($line) : diag($line);
        }
    }

    is($ran, $planned, "$name ran the tests that it planned");
    is($status, 0, "$name ended well");
}


# some read pairs of questions

$ENV{TEST_PAIRS} = "$root/t/semantic";

my @objects = compile_floor();

for my $unit (@units) {
    my $name = basename($unit, '.c');
    my $program = "$out/$name";

    subtest $name => sub {
        my ($status, @lines) = run_command($cc, @warnings,
            split(' ', $cflags), '-I', $sources, '-I', "$root/t/reference",
            '-I', "$root/t/unit", $unit,
            @objects, qw(-ljansson -lhiredis -lcrypto -lz -lm),
            '-o', $program);

        if (ok($status == 0, "$name compiles")) {
            replay($name, run_command($program));

        } else {
            diag(@lines);
        }
    };
}

done_testing();
