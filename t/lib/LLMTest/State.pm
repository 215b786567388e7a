package LLMTest::State;

# What the tests of state files share: an nginx whose zone "one" has one, that
# can be stopped and started again.

use strict;
use warnings;

use parent -norequire, 'LLMTest::Nginx';

use LLMTest::Nginx;

# the arguments of nginx() for a zone; %option may change the text, too, by
# edit => sub { s/// }

sub conf {
    my ($zone, %option) = @_;

    return (class => __PACKAGE__, level => 'info',
        location => 'llm_cache on zone=one;',
        allow => qr/process \d+ exited on signal 9|was locked by \d+/,
        http => "llm_cache_zone zone=one:$zone;", %option);
}

sub conf_text {
    my ($self, %option) = @_;

    local $_ = $self->SUPER::conf_text(%option);

    $option{edit}->() if $option{edit};

    return $_;
}

sub file { my ($self, $name) = @_; return $self->prefix . "/logs/$name" }

sub content {
    my ($path) = @_;

    open my $in, '<:raw', $path or return '';
    local $/;

    return scalar(<$in>) // '';
}

sub put {
    my ($path, @bytes) = @_;

    open my $out, '>:raw', $path or die "$path: $!\n";
    print $out @bytes;
    close $out;

    return;
}

sub count { my ($self, $what) = @_; my $n = () = $self->error_log =~ /$what/g;
    return $n }

# how many loads came to an end

sub loads {
    my ($self) = @_;

    return $self->count(
        qr/answers loaded from|"one" starts (?:empty: |in part)/);
}

sub start_loaded {
    my ($self, %option) = @_;

    my $before = $self->loads;

    $self->write_conf(%option) if %option;

    return $self->start && $self->wait_until(sub {
        return $self->loads > $before });
}

sub restart {
    my ($self, $signal, %option) = @_;

    return $self->quit($signal) && $self->start_loaded(%option);
}

# the cache manager process, which is the last to start

sub manager {
    my ($self) = @_;

    my $master = $self->{master};
    my $found;

    $self->wait_until(sub {
        ($found) = grep { content("/proc/$_/cmdline") =~ /cache manager/ }
            split ' ', content("/proc/$master/task/$master/children");

        return defined $found;
    });

    return $found;
}

1;
