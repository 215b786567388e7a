# sourced by nginx's configure when it writes objs/Makefile: how the status
# page becomes C there, anew whenever the page changes

ngx_llm_cache_page=$ngx_addon_dir/ngx_http_llm_cache_module/page.html
ngx_llm_cache_tab=`printf '\t'`

cat << END                                                    >> $NGX_MAKEFILE

$NGX_OBJS/ngx_http_llm_cache_page.c: $ngx_llm_cache_page
${ngx_llm_cache_tab}( echo '#include "ngx_http_llm_cache_page.h"'; \\
${ngx_llm_cache_tab}  echo 'const unsigned char ngx_http_llm_cache_page[] = {'; \\
${ngx_llm_cache_tab}  od -An -v -tx1 $ngx_llm_cache_page \\
${ngx_llm_cache_tab}  | sed 's/ *\([0-9a-f][0-9a-f]\)/0x\1,/g'; \\
${ngx_llm_cache_tab}  echo '};'; \\
${ngx_llm_cache_tab}  echo 'const size_t ngx_http_llm_cache_page_len'; \\
${ngx_llm_cache_tab}  echo '    = sizeof(ngx_http_llm_cache_page);' \\
${ngx_llm_cache_tab}) > \$@.new
${ngx_llm_cache_tab}mv \$@.new \$@

END
