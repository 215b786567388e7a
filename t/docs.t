# The documentation and the code name the same things: directives with their
# contexts, variables, reasons, dialects, files.

use strict;
use warnings;

use FindBin ();
use Test::More;

my $root = "$FindBin::Bin/..";
my $sources = "$root/ngx_http_llm_cache_module";


sub slurp {
    my ($file) = @_;

    open my $handle, '<', "$root/$file" or die "$file: $!\n";
    local $/;

    return scalar <$handle>;
}


sub is_same {
    my ($documented, $coded, $what) = @_;

    my %coded = map { $_ => 1 } @$coded;

    ok(%coded, "$what: there are some");
    is_deeply([sort @$documented], [sort keys %coded], $what);

    return;
}


# of a page's headings, as GitHub makes them

sub anchors {
    my ($file) = @_;

    return map { lc =~ s/[^\w -]//gr =~ s/ /-/gr }
        slurp($file) =~ /^#+ +(.+)$/mg;
}


my $directives = slurp('docs/directives.md');
my $conf = slurp('ngx_http_llm_cache_module/ngx_http_llm_cache_directives.c');
my $changes = slurp('CHANGELOG.md');
my @commands = $conf =~ /^    \{ ngx_string\("(llm_\w+)"\),/mg;

is_same([$directives =~ /^### (llm_cache\w*)$/mg], \@commands, 'directives');
like($changes, qr/`$_`/, "CHANGELOG.md names $_") for @commands;

for my $section (split /^### (?=llm_cache)/m, $directives) {
    my ($name) = $section =~ /^(llm_cache\w*)\n/ or next;

    like($section, qr/\*\*Syntax:\*\* \| `$name /, "$name has a syntax");
    like($section, qr/\*\*Default:\*\* \| /, "$name has a default");
    like($section, qr/\*\*Context:\*\* \| /, "$name has a context");
    like($section, qr/```nginx\n(?:.*\n)*?.*\b$name /, "$name has an example");
}

my $reasons = slurp('ngx_http_llm_cache_module/llm_reason.h');
my ($documented) = $directives =~ /^## Reasons$(.*)\z/ms;

is_same([$documented =~ /^\| `(\w+)` \|/mg],
    [$reasons =~ /^ +_\(\w+, "(\w+)"\)/mg], 'reasons');

my ($trouble) = slurp('docs/operations.md')
    =~ /^## Troubleshooting$(.*?)^## /ms;

my ($table_of_reasons, $table_of_messages) = split /^\| message \|/m,
    $trouble =~ s/.*^\| reason \|//msr;

is_same([$table_of_reasons =~ /^\| `(\w+)` \| .+ \| .+ \|$/mg],
    [$reasons =~ /^ +_\(\w+, "(\w+)"\)/mg], 'reasons in operations.md');

# the error log's messages; "..." stands for what varies

my $literals = join '', map { slurp($_) =~ s/"\s*"//gr }
    map { s{^\Q$root/\E}{}r } glob "$sources/*.c";

for my $message (map { /`([^`]+)`/g } $table_of_messages =~ /^\| (.+?) \|/mg) {
    my $pattern = join '.*', map { quotemeta } split / ?\.\.\. ?/, $message;

    ok(scalar $literals =~ /$pattern/, "'$message' is a message");
}

my $variables = slurp(
    'ngx_http_llm_cache_module/ngx_http_llm_cache_variables.c');
($documented) = $directives =~ /^## Variables$(.*?)^## /ms;

my $counters = slurp(
    'ngx_http_llm_cache_module/ngx_http_llm_cache_redis_stat.c');
my @redis = map { "llm_cache_redis_$_" } qw(time state),
    $counters =~ /^    NGX_HTTP_LLM_CACHE_REDIS_COUNTER\((\w+),/mg;

$counters = slurp(
    'ngx_http_llm_cache_module/ngx_http_llm_cache_semantic_stat.c');

my @semantic = map { "llm_cache_semantic_$_" } qw(refused false_rate),
    $counters =~ /^    NGX_HTTP_LLM_CACHE_SEMANTIC_\w+\((\w+),/mg;

is_same([$documented =~ /^\| `\$(llm_cache_\w+)` \|/mg],
    [$variables =~ /ngx_string\("(llm_cache_\w+)"\)/g, @redis, @semantic],
    'variables');
like($documented, qr/^\| `\$llm_request_NAME` \|/m, 'request variables');

my $dialects = slurp('ngx_http_llm_cache_module/llm_dialect.c');
my $design = slurp('docs/how-it-works.md');
my ($table) = $design =~ /^## Dialects$(.*?)^## /ms;

is_same([$table =~ /^\| `(\w+)` \|/mg],
    [$dialects =~ /^    \{ LLM_DIALECT_\w+, llm_string\("(\w+)"\),/mg],
    'dialects');

# what other pages and the examples name is there

my %known = map { $_ => 1 } @commands, 'llm_cache';
my %variable = map { ("\$$_" => 1) } @redis, @semantic,
    $variables =~ /ngx_string\("(llm_cache_\w+)"\)/g;

for my $file (map { s{^\Q$root/\E}{}r } glob "$root/*.md $root/docs/*.md"
    . " $root/examples/*.conf")
{
    my $text = slurp($file);
    my %unknown = map { $_ => 1 } grep { !$variable{$_}
        && !/^\$llm_cache_semantic_refused_/ }
        $text =~ /(\$llm_cache_\w+)/g;

    $unknown{$_} = 1 for grep { !$known{$_} }
        $text =~ /(?:^ *|`)(llm_cache\w*)(?= [^|`]*;)/mg;
    is_deeply([sort keys %unknown], [], "$file names nothing unknown");
}

# links to files of the project

for my $file (glob "$root/*.md $root/docs/*.md") {
    my ($name) = $file =~ m{^\Q$root/\E(.*)};
    my ($folder) = $name =~ m{^(.*/)};
    my $text = slurp($name);

    while ($text =~ /\]\(([^)#:\s]*)(?:#([^)]*))?\)/g) {
        my ($path, $anchor) = ($1 eq '' ? $name : ($folder // '') . $1, $2);

        ok(-e "$root/$path", "$name: $path exists") or next;
        ok((grep { $_ eq $anchor } anchors($path)),
            "$name: $path has #$anchor") if defined $anchor;
    }
}

done_testing();
