package LLMTest::FakeRedis;

# A server that speaks as Redis does, and answers as a test wants it to.

use strict;
use warnings;

use parent 'Exporter';

use IO::Select ();
use IO::Socket::INET ();
use POSIX ();

our @EXPORT = qw(fake_redis fake_reply);

# what is enough to be used, and to have nothing

my %REPLY = (AUTH => "+OK\r\n", CLIENT => ":7\r\n",
    'CLIENT TRACKING' => "+OK\r\n",
    SUBSCRIBE => "*3\r\n\$9\r\nsubscribe\r\n\$1\r\nx\r\n:1\r\n",
    PING => "+PONG\r\n", PTTL => ":-2\r\n", SET => "+OK\r\n",
    GETRANGE => "\$0\r\n\r\n");

sub fake_reply {
    my ($name, $second) = @_;

    return $REPLY{"$name " . uc($second // '')} // $REPLY{$name}
        // "-ERR unknown\r\n";
}

# the words of a command that is complete, which is taken off

sub words {
    my ($in) = @_;

    my ($n) = $$in =~ /^\*(\d+)\r\n/ or return;
    my $at = length "*$n\r\n";
    my @words;

    while (@words < $n) {
        my ($size) = substr($$in, $at, 16) =~ /^\$(\d+)\r\n/ or return;

        $at += length "\$$size\r\n";
        return if length $$in < $at + $size + 2;
        push @words, substr $$in, $at, $size;
        $at += $size + 2;
    }

    substr $$in, 0, $at, '';

    return @words;
}

# Serves in a process of its own: its pid and port.  "answer" is called with
# the port, a connection, what has come behind the command, and the command,
# and gives the reply, or undef to close the connection; "before", with all
# connections, before any is read.

sub fake_redis {
    my (%option) = @_;

    my $listen = IO::Socket::INET->new(LocalPort => 0, Listen => 1024,
        LocalAddr => $option{host} // '127.0.0.1', ReuseAddr => 1)
        or die "fake redis: $@\n";
    my $parent = $$;
    my $pid = fork // die "fork: $!\n";

    return ($pid, $listen->sockport) if $pid;

    $SIG{$_} = 'DEFAULT' for qw(TERM INT HUP ALRM);
    $SIG{PIPE} = 'IGNORE';

    my $select = IO::Select->new($listen);
    my %in;

    while (getppid() == $parent) {
        my @ready = $select->can_read(0.1);

        if ($option{before}) {
            for my $gone ($option{before}->(grep { $_ != $listen }
                $select->handles))
            {
                $select->remove($gone);
                close $gone;
            }
        }

        for my $socket (grep { defined fileno $_ } @ready) {

            if ($socket == $listen) {
                my $new = $listen->accept or next;

                $in{$new} = '';
                $select->add($new);
                next;
            }

            my $open = sysread $socket, $in{$socket}, 65536,
                length $in{$socket};

            while ($open and my @words = words(\$in{$socket})) {
                my $text = $option{answer}->($listen->sockport, $socket,
                    $in{$socket}, uc shift @words, @words);

                $open = defined $text;
                syswrite $socket, $text if $open;
            }

            if (!$open) {
                $select->remove($socket);
                close $socket;
            }
        }
    }

    POSIX::_exit(0);
}

1;
