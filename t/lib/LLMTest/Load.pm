package LLMTest::Load;

# Processes that ask nginx again and again, check what they get, and report.

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use Exporter 'import';
use IO::Select ();
use POSIX ();

use LLMTest::Json;
use LLMTest::Requests;

our @EXPORT = qw(load);

my $ENOUGH = 10;     # hits, and misses, of each process

# what is wrong with an answer that claims to be whole, or undef

sub fault {
    my ($answer, $body, $stream, $repeat) = @_;

    my $digest = substr sha256_hex($body), 0, 16;
    my $text = $answer->body;

    return 'status ' . $answer->status if $answer->status != 200;

    if ($stream) {
        return 'no end' if $text !~ /data: \[DONE\]\n\n\z/;
        $text = join '', map { eval { from_json($_)
            ->{choices}[0]{delta}{content} } // '' }
            $text =~ /^data: (\{.*\})$/mg;
    }

    return (() = $text =~ /$digest/g) != $repeat
        ? 'not the answer to its request' : undef;
}

# one request; every third is of its own, the others are asked by all

sub ask {
    my ($nginx, $seen, $seed, $number) = @_;

    my $stream = $number % 2;
    my $prompt = $number % 3 ? 'asked by all ' . $number % 20
        : "asked by $seed.$number";
    my $padding = 'x' x ($number % 7 * 1000);
    my $repeat = 1 + $number % 5 * 400;
    my $body = to_json(chat("$prompt $padding",
        ($stream ? (stream => json_true) : ())));
    my $answer = eval { $nginx->post(chat_uri(), $body,
        mock => { repeat => $repeat }) };

    if (!$answer) {
        push @{$seen->{failed}}, $@;

    } elsif ($answer->timed_out) {
        push @{$seen->{stuck}}, $answer->summary;

    } elsif (!$answer->complete || !$answer->status) {
        push @{$seen->{failed}}, $answer->summary;

    } elsif (my $fault = fault($answer, $body, $stream,
        $repeat)) {
        push @{$seen->{wrong}}, "$fault: " . $answer->summary;

    } else {
        $seen->{lc $answer->cache}++;
    }

    return;
}

sub work {
    my ($nginx, $seed, $stop, $parent) = @_;

    my %seen = (failed => [], stuck => [], wrong => [], hit => 0, miss => 0);
    my $select = IO::Select->new($stop);
    my $number = 0;

    ask($nginx, \%seen, $seed, $number++)
        until $select->can_read(0) || getppid != $parent;

    # however little time it was given: more, and each of them twice

    for my $more (0 .. 199) {
        last if getppid != $parent
            || $seen{hit} >= $ENOUGH && $seen{miss} >= $ENOUGH;

        ask($nginx, \%seen, $seed, $number + int($more / 2));
    }

    for my $faults (@seen{qw(stuck wrong)}) {
        splice @$faults, 5 if @$faults > 5;
    }

    return \%seen;
}

# starts one such process; the code returned ends it and gives its report

sub load {
    my ($nginx, $seed) = @_;

    pipe my $stop_read, my $stop_write or die "pipe: $!\n";
    pipe my $report_read, my $report_write or die "pipe: $!\n";

    my $parent = $$;
    my $pid = fork // die "fork: $!\n";

    if (!$pid) {
        alarm 0;
        close $stop_write;
        print $report_write to_json(work($nginx, $seed, $stop_read,
            $parent)), "\n";
        close $report_write;
        POSIX::_exit(0);
    }

    close $stop_read;
    close $report_write;

    return sub {
        syswrite $stop_write, '.';

        my $line = <$report_read>;

        waitpid $pid, 0;

        return from_json($line // '{"wrong":["the load process died"]}');
    };
}

1;
