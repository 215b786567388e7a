/*
 * The status page: page.html as an array of bytes, in C that objs/Makefile
 * makes of it.  See the file config.make.
 */


#ifndef _NGX_HTTP_LLM_CACHE_PAGE_H_INCLUDED_
#define _NGX_HTTP_LLM_CACHE_PAGE_H_INCLUDED_


#include <stddef.h>


extern const unsigned char  ngx_http_llm_cache_page[];
extern const size_t         ngx_http_llm_cache_page_len;


#endif /* _NGX_HTTP_LLM_CACHE_PAGE_H_INCLUDED_ */
