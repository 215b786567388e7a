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

my $variables = slurp(
    'ngx_http_llm_cache_module/ngx_http_llm_cache_variables.c');
($documented) = $directives =~ /^## Variables$(.*?)^## /ms;

my $counters = slurp(
    'ngx_http_llm_cache_module/ngx_http_llm_cache_redis_stat.c');
my @redis = map { "llm_cache_redis_$_" } qw(time state),
    $counters =~ /^    NGX_HTTP_LLM_CACHE_REDIS_COUNTER\((\w+),/mg;

is_same([$documented =~ /^\| `\$(llm_cache_\w+)` \|/mg],
    [$variables =~ /ngx_string\("(llm_cache_\w+)"\)/g, @redis],
    'variables');
like($documented, qr/^\| `\$llm_request_NAME` \|/m, 'request variables');

my $dialects = slurp('ngx_http_llm_cache_module/llm_dialect.c');
my $design = slurp('docs/how-it-works.md');
my ($table) = $design =~ /^## Dialects$(.*?)^## /ms;

is_same([$table =~ /^\| `(\w+)` \|/mg],
    [$dialects =~ /^    \{ LLM_DIALECT_\w+, llm_string\("(\w+)"\),/mg],
    'dialects');

# links to files of the project

for my $file (glob "$root/*.md $root/docs/*.md") {
    my ($name) = $file =~ m{^\Q$root/\E(.*)};
    my ($folder) = $name =~ m{^(.*/)};
    my $text = slurp($name);

    while ($text =~ /\]\(([^)#:\s]+)(?:#[^)]*)?\)/g) {
        ok(-e "$root/" . ($folder // '') . $1, "$name: $1 exists");
    }
}

done_testing();
