package LLMTest::Crowd;

# Many clients at once, by the program crowd.c, which tells what they got:
#
#   my $crowd = crowd($nginx, 100, [$uri, $body, %request], spread => 50);
#   for my $group ($crowd->groups) { ... }
#
# A group is those who got the same: count, status, cache, end (whole, open,
# cut, stuck, left, bad, more) and body.

use strict;
use warnings;

use Cwd qw(abs_path);
use Digest::SHA qw(sha256_hex);
use Exporter 'import';
use File::Basename qw(dirname);
use File::Temp qw(tempdir);

use LLMTest::Json;

our @EXPORT = qw(crowd crowd_faults);

my $HERE = abs_path(dirname(__FILE__) . '/..');
my $LIMIT = $ENV{TEST_CLIENT_TIMEOUT} || 20;

my ($program, $serial);

sub program {
    return $program if $program;

    my $path = tempdir(CLEANUP => 1) . '/crowd';
    my $cc = $ENV{CC} || 'cc';

    system("$cc -std=gnu11 -O2 -o $path $HERE/crowd.c $HERE/answer.c") == 0
        or die "crowd.c cannot be compiled\n";

    return $program = $path;
}

# begins at once, in the background

sub crowd {
    my ($nginx, $count, $request, %option) = @_;

    my ($uri, $body, %more) = @$request;
    my $dir = tempdir(CLEANUP => 1);

    $body = to_json($body) if ref $body;
    $option{limit} //= $LIMIT;
    $option{seed} //= int rand 1 << 30;

    open my $file, '>', "$dir/request" or die "$!\n";
    print $file $nginx->request_text($uri, $body, %more);
    close $file;

    open my $output, '-|', program(), $nginx->port, "$dir/request", $dir,
        $count, map { "$_=$option{$_}" } sort keys %option
        or die "crowd: $!\n";

    return bless { dir => $dir, output => $output, body => $body,
        repeat => ($more{mock} // {})->{repeat} // 1 }, __PACKAGE__;
}

sub groups {
    my ($self) = @_;

    return @{$self->{groups}} if $self->{groups};

    my @groups;
    my $output = delete $self->{output};

    while (<$output>) {
        my %group;

        @group{qw(count status cache end length digest)} = split;
        $group{body} = $self->body(\%group);
        push @groups, \%group;
    }

    close $output or die "the crowd died\n";
    $self->{groups} = \@groups;

    return @groups;
}

sub body {
    my ($self, $group) = @_;

    return '' if !$group->{length};

    open my $file, '<', "$self->{dir}/$group->{digest}" or die "$!\n";
    local $/;

    return scalar <$file>;
}

# how many of a kind: a hash of conditions

sub count {
    my ($self, %want) = @_;

    my $sum = 0;

    for my $group ($self->groups) {
        $sum += $group->{count}
            if !grep { $group->{$_} !~ /^(?:$want{$_})$/ } keys %want;
    }

    return $sum;
}

# what is wrong with a body that came as a whole, or undef: it is to be one
# answer of the mock to this request, to its end

sub fault {
    my ($self, $text) = @_;

    my $digest = substr sha256_hex($self->{body}), 0, 16;

    if ($self->{body} =~ /"stream":true/) {
        return 'no end' if $text !~ /data: \[DONE\]\n\n\z/;
        $text = join '', $text
            =~ /^data: \{.*"delta":\{[^}]*"content":"([^"]*)"/mg;

    } else {
        $text = eval { from_json($text)->{choices}[0]{message}{content} };
        return 'no JSON answer' if !defined $text;
    }

    my ($number) = $text =~ /^Answer (\d+)/ or return 'no answer';
    my $one = qr/Answer $number\.0 to $digest: it wasn't cached \S+/;

    return "not one answer to its request"
        if $text !~ /^$one(?: $one){@{[$self->{repeat} - 1]}}$/;

    return undef;
}

# what no client may see, whatever happens

sub crowd_faults {
    my (@crowds) = @_;

    my @faults;

    for my $self (@crowds) {
        for my $group ($self->groups) {
            my $what = "$group->{count} x $group->{status} $group->{cache} "
                . "$group->{end}, $group->{length} bytes";

            if ($group->{end} =~ /^(?:stuck|bad|more)$/) {
                push @faults, $what;

            } elsif ($group->{status} == 200
                && $group->{end} =~ /^(?:whole|open)$/)
            {
                my $fault = $self->fault($group->{body}) // next;

                push @faults, "$fault: $what";
            }
        }
    }

    return @faults;
}

sub summary {
    my ($self) = @_;

    return map { "$_->{count} x $_->{status} $_->{cache} $_->{end}, "
        . "$_->{length} bytes" } $self->groups;
}

1;
