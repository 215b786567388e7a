# The ways to a Redis: passwords, users, databases, sockets, TLS, servers that
# do not track keys, and a password that changes.

use FindBin ();
use lib "$FindBin::Bin/lib";
use File::Temp ();

use LLMTest;
use LLMTest::Certificates;
use LLMTest::Machine;
use LLMTest::Redis;

my $mock = mock();
my $serial = 0;

# stored by one machine, found by another

sub is_shared {
    my ($name, $url, %option) = @_;

    my $state = delete $option{state};
    my ($a, $b) = map { machine($url, %option) } 1, 2;

    settle($_, $state) for $a, $b;

    my @request = (chat_uri(), chat('Question ' . $serial++));
    my $first = $a->post(@request);

    $a->wait_until(sub { counter($a, 'stores') > 0 });
    pause(0.1);

    my $second = $b->post(@request);

    is_hit($second, $first, $name);
    is($b->logged($second)->{tier}, 'redis', "$name: from Redis");

    return ($a, $b);
}

# Redis is of no use, and nobody suffers

sub is_refused {
    my ($name, $url, $why, %option) = @_;

    my $nginx = machine($url, %option);
    my @request = (chat_uri(), chat('Question ' . $serial++));
    my $first = $nginx->post(@request);

    is_miss($first, $name);
    is_hit($nginx->post(@request), $first, "$name: memory");
    ok($nginx->wait_until(sub { $nginx->error_log =~ $why }),
        "$name: the log says why") or diag($nginx->error_log);
    is(counter($nginx, 'hits') . counter($nginx, 'stores'), '00',
        "$name: nothing from Redis, nothing into it");

    return;
}

sub write_file {
    my ($path, $text) = @_;

    open my $file, '>', $path or die "$!\n";
    print $file $text;
    close $file;

    return;
}


# a password, in the URL and in a file; a database; %XX

my $secret = LLMTest::Redis->new(password => 'p@ss/word');

is_shared('password', $secret->url(':p%40ss%2Fword'));
is_refused('wrong password', $secret->url(':wrong'),
    qr/refused the greeting: "WRONGPASS/);
is_refused('no password', 'redis://127.0.0.1:' . $secret->port,
    qr/says "NOAUTH/);

my $dir = File::Temp::tempdir(CLEANUP => 1);

chmod 0755, $dir;
write_file("$dir/password", "p\@ss/word\n");
chmod 0644, "$dir/password";

my ($a, $b) = is_shared('password_file', 'redis://127.0.0.1:'
    . $secret->port . '/3', param => "password_file=$dir/password");

like($secret->command('INFO', 'keyspace'), qr/^db3:keys=1/m, 'database 3');


# the password changes: both go on without Redis, then read it anew

$secret->command('CONFIG', 'SET', 'requirepass', 'another');
$secret->{password} = 'another';
$secret->command('CLIENT', 'KILL', 'TYPE', $_) for qw(normal pubsub);

my @request = (chat_uri(), chat('While the password is wrong'));

is($a->post(@request)->status, 200, 'an answer without Redis') for 1 .. 3;
write_file("$dir/password", 'another');
settle($_) for $a, $b;

my @after = (chat_uri(), chat('With the new password'));
my $after = $a->post(@after);

ok($secret->wait_for(sub { $secret->command('SELECT', 3);
    counter($a, 'stores') > 1 }), 'stored with the new password');
pause(0.2);
is_hit($b->post(@after), $after, 'the new password');


# a user with few rights

my $limited = LLMTest::Redis->new(conf => join "\n",
    'user default off',
    'user cache on >limited ~mine:* &* -@all +getrange +set +del +pttl '
    . '+ping +client|id +client|tracking +subscribe');

# the test itself may not speak to it

sub limited_url { return 'redis://cache:limited@127.0.0.1:'
    . $limited->port }

is_shared('a user', limited_url(), param => 'prefix=mine:');
is_refused('other keys', limited_url(), qr/did not store an answer: "NOPERM/);


# and one with too few: the log says what is missing, once

my $poor = LLMTest::Redis->new(conf => 'user default on nopass ~* &* +@all '
    . '-pttl');
my ($g, $h) = map { machine($poor->url) } 1, 2;

settle($_) for $g, $h;

for my $try (1 .. 3) {
    my @refused = (chat_uri(), chat("Question $serial"));
    my $answer = $g->post(@refused);

    $serial++;
    ok(stored($poor, 'llm:' . $answer->header('X-LLM-Cache-Key')), 'stored');
    is_miss($h->post(@refused), 'and not looked up');
}

is(scalar(() = $h->error_log =~ /did not look up an answer: "NOPERM/g), 1,
    'the log says why');


# what the documentation says that a user needs, for any database

my ($acl) = do {
    open my $file, '<', "$FindBin::Bin/../docs/directives.md" or die "$!\n";
    local $/;
    <$file> =~ /^ACL SETUSER (cache on .*?)^```/ms;
};

my $told = LLMTest::Redis->new(conf => "user default off\nuser "
    . join ' ', split ' ', $acl);

is_shared('the ACL of the documentation', 'redis://cache:PASSWORD@127.0.0.1:'
    . $told->port . $_) for '', '/2';


# without tracking there is pub/sub

my $plain = LLMTest::Redis->new(conf =>
    'user default on nopass ~* &* +@all -client|tracking');
my ($c, $d) = is_shared('pub/sub', $plain->url);

like($c->error_log, qr/does not track keys/, 'pub/sub: the log says so');

my @changing = (chat_uri(), chat('Told by pub/sub'));
my $old = $c->post(@changing);

ok(stored($plain, 'llm:' . $old->header('X-LLM-Cache-Key')), 'stored');
is_hit($d->post(@changing), $old, 'pub/sub: the old answer');
pause(1.1);

my $new = $d->post(@changing, headers => { 'Cache-Control' => 'no-cache' });

pause(0.3);
is_hit($c->post(@changing), $new, 'pub/sub: the new answer');


# with neither, what came from Redis is looked up every time

my $mute = LLMTest::Redis->new(conf =>
    'user default on nopass ~* &* +@all -client|tracking -subscribe');
my ($e, $f) = is_shared('nothing is told', $mute->url, state => 'ready');

is($f->logged($f->post(chat_uri(), chat('Question ' . ($serial - 1))))
    ->{tier}, 'redis', 'from Redis each time');


# a socket

my $local = LLMTest::Redis->new(socket => 1);

is_shared('socket', 'unix:' . $local->socket_path);
is_shared('socket, database', 'unix:' . $local->socket_path . '?db=5');
is_refused('no socket', "unix:$dir/nothing", qr/nothing failed/,
    allow => qr/\[crit\].*connect\(\) to unix:/);


# TLS: only a certificate of our CA, for this very host, will do

my $ca = LLMTest::Certificates->new;
my $stranger = LLMTest::Certificates->new;
my $tls = LLMTest::Redis->new(tls => $ca->issue('redis',
    'DNS:localhost,IP:127.0.0.1'));
my $elsewhere = LLMTest::Redis->new(tls => $ca->issue('elsewhere',
    'DNS:elsewhere,IP:127.0.0.9'));
my $named = 'rediss://localhost:' . $tls->port;

is_shared('TLS, address', $tls->url, param => 'ca=' . $ca->ca);
is_shared('TLS, name', $named, param => 'ca=' . $ca->ca);
is_refused('another CA', $tls->url, qr/certificate of .* is not trusted/,
    param => 'ca=' . $stranger->ca);
is_refused('no CA', $tls->url, qr/certificate of .* is not trusted/);
is_refused('another host', $elsewhere->url,
    qr/certificate of .* is not for "127\.0\.0\.1"/,
    param => 'ca=' . $ca->ca);
is_shared('verify=off', $elsewhere->url, param => 'verify=off');
is_refused('no TLS there', 'rediss://127.0.0.1:' . $plain->port,
    qr/does not answer in time|SSL/, param => 'ca=' . $ca->ca);

finish();
