# Sourced by nginx's configure when it writes objs/Makefile: how the status
# page becomes C there, anew whenever the page changes.  A copy in C beside the
# page could be out of date, and od and sed are wherever nginx is built: its
# own configure needs as much.

ngx_llm_cache_page=$ngx_addon_dir/ngx_http_llm_cache_module/page.html
tab=`printf '\t'`

cat << END                                                    >> $NGX_MAKEFILE

$NGX_OBJS/ngx_http_llm_cache_page.c: $ngx_llm_cache_page
${tab}( echo '#include "ngx_http_llm_cache_page.h"'; \\
${tab}  echo 'const unsigned char ngx_http_llm_cache_page[] = {'; \\
${tab}  od -An -v -tx1 $ngx_llm_cache_page \\
${tab}  | sed 's/ *\([0-9a-f][0-9a-f]\)/0x\1,/g'; \\
${tab}  echo '};'; \\
${tab}  echo 'const size_t ngx_http_llm_cache_page_len'; \\
${tab}  echo '    = sizeof(ngx_http_llm_cache_page);' \\
${tab}) > \$@.new
${tab}mv \$@.new \$@

END
