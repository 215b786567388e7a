package LLMTest::RootNginx;

# The nginx of a clean root, with the modules that are enabled there and its
# files in the root.  Option: root.

use strict;
use warnings;

use parent -norequire, 'LLMTest::Nginx';

use File::Temp qw(tempdir);

use LLMTest::Nginx;

sub prepare {
    my ($class, %option) = @_;

    my $prefix = tempdir('nginx_XXXXXX', DIR => $option{root}->path('tmp'));

    mkdir "$prefix/logs";
    chmod 0755, $prefix;

    return bless { prefix => $prefix, owner => $$, mock => $option{mock},
        root => $option{root}, workers => 1, port => 0 }, $class;
}

# the prefix as nginx sees it

sub inside {
    my ($self) = @_;

    my $root = $self->{root}->path('');

    return $self->{prefix} =~ s{^\Q$root\E}{/}r;
}

sub fill_in {
    my ($self, $text) = @_;

    my $inside = $self->inside;

    return $self->SUPER::fill_in($text =~ s/%PREFIX%/$inside/gr);
}

sub conf_text {
    my ($self, %option) = @_;

    return $self->SUPER::conf_text(%option, without_module => 1,
        main => "include /etc/nginx/modules-enabled/*.conf;\n");
}

sub launch {
    my ($self, @arguments) = @_;

    my $pid = fork // die "fork: $!\n";

    return $pid if $pid;

    open STDIN, '<', '/dev/null';
    open STDOUT, '>', '/dev/null';
    open STDERR, '>', "$self->{prefix}/logs/stderr";
    exec 'chroot', $self->{root}->path(''), '/usr/sbin/nginx', '-c',
        $self->inside . '/nginx.conf', '-e', 'stderr', @arguments
        or POSIX::_exit(127);
}

1;
