package LLMTest::Trap;

# Kills a process at the moment when it gets to a function of nginx or of the
# module, with the program die_at.c.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);

my $HERE = abs_path(dirname(__FILE__) . '/..');

# nothing where there is no C compiler

sub new {
    my ($class) = @_;

    my $program = tempdir(CLEANUP => 1) . '/die_at';

    return if system("cc -std=gnu11 -o $program $HERE/die_at.c") != 0;

    return bless { program => $program }, $class;
}

# where the function stands in that process

sub address {
    my ($pid, $symbol) = @_;

    open my $maps, '<', "/proc/$pid/maps" or return;

    for my $line (<$maps>) {
        my ($start, $skip, $path) = $line
            =~ m{^([0-9a-f]+)-\S+ \S+ ([0-9a-f]+) \S+ \S+\s+(/\S+)} or next;

        next if hex $skip || $path !~ /nginx|ngx_/;

        my ($found) = grep { / T \Q$symbol\E$/ }
            map { split /\n/ } `nm -D $path; nm $path 2>/dev/null`;
        my $offset = hex((split ' ', $found // '')[0] // next);

        no warnings 'portable';

        return $offset < hex $start ? $offset + hex $start : $offset;
    }

    return;
}

# a handle that reads "killed\n" when the function was reached for the nth
# time; nothing where processes cannot be traced

sub arm {
    my ($self, $pid, $symbol, $count) = @_;

    my $where = address($pid, $symbol) // return;

    open my $output, '-|', $self->{program}, $pid, sprintf('%x', $where),
        $count // 1 or return;

    return (<$output> // '') eq "armed\n" ? $output : undef;
}

1;
